-- The WAL that a reader holds is told of (D21), by a clock of our own.

if not pcall(require, "uvjobs.store.sqlite") then return end

local native = require "uvjobs.store.sqlite"
local stores = require "spec.durable.stores"

describe("the engine of a store in a file", function()
  it("warns once of a reader that holds the WAL for a minute #D21", function()
    local path, now = stores.new_path(), 0
    local engine = require "uvjobs.durable.sqlite".open(path, { durability = "normal" }, {
      date = function() return 1e15 // 1 | 0 end, now = function() return now end,
    })
    local reader = native.open(path, 0)
    reader:exec "BEGIN"
    reader:prepare("SELECT count(*) FROM uvjobs_task"):first()
    local task = {
      kind = "kind", queue = "q", args = ("x"):rep(100000), priority = 5, attempts = 1,
      most_crashes = 1, keep_done = 0, keep_dead = 0,
    }
    for _ = 1, 100 do engine:perform { { op = "enqueue", tasks = { task } } } end
    assert.is_nil(engine:idle())
    now = 59 * 1000000
    assert.is_nil(engine:idle())
    now = 62 * 1000000
    assert.matches("bytes, and a reader has been holding it for %d+ seconds", engine:idle())
    assert.is_nil(engine:idle())
    reader:exec "COMMIT"
    reader:close()
    engine:perform { { op = "enqueue", tasks = { task } } }
    engine:idle()
    assert.equal(0, native.size(path .. "-wal"))
    engine:close()
    stores.remove(path)
  end)

  it("tells other processes of a task when that is committed #D14", function()
    local path = stores.new_path()
    local sqlite = require "uvjobs.durable.sqlite"
    local engine, other = sqlite.open(path, {}), sqlite.open(path, {})
    local notices = native.notices(path .. "-lock", path .. "-lock")
    if notices then
      local task = {
        kind = "kind", queue = "q", args = "1", priority = 5, attempts = 1, most_crashes = 1,
        keep_done = 0, keep_dead = 0,
      }
      other:hear()
      engine:perform { { op = "enqueue", tasks = { task } } }
      assert.is_true(notices:clear())
      assert.is_true(other:hear())
      engine:perform { { op = "get", id = 1 } }
      assert.is_false(notices:clear())
      assert.is_nil(other:hear())
      notices:close()
    end
    engine:close()
    other:close()
    stores.remove(path)
  end)
end)
