-- What SIGKILL does to the store in PostgreSQL. kill_matrix.lua tries every moment, which takes an
-- hour; here some are tried.
if not os.getenv "UVJOBS_POSTGRES" or
  not package.searchpath("uvjobs.store.postgres", package.cpath) then return end

require "uvjobs.store.postgres"

local matrix = require "spec.durable.postgres.kill_matrix"

describe("a process that is killed at a message to PostgreSQL", function()
  it("loses no task, and runs none again that is done #D1 #D2 #D6", function()
    local tried, problem = matrix.run(20, 37, 170)
    assert.is_nil(problem)
    assert.is_true(tried >= 3)
  end)
end)
