-- Connection strings, which need no server.
if not package.searchpath("uvjobs.store.postgres", package.cpath) then return end

require "uvjobs.store.postgres"

local base = require "spec.helper"
local durable = require "uvjobs.durable"
local location = require "uvjobs.durable.postgres.location"
local uvjobs = require "uvjobs"

local function none() return "" end

describe("the connection string of PostgreSQL", function()
  after_each(base.check_clean)

  it("is refused when it has an option that is not known, with the nearest", function()
    uvjobs.run(function()
      assert.matches("bad argument #1 to 'open' %(unknown option 'sslmod' in the connection " ..
        "string, did you mean 'sslmode'%?%)",
        base.message(durable.open, "postgres://u:secret@h/d?sslmod=require"))
      assert.matches("bad argument #2 to 'open' %(unknown option 'shema', did you mean 'schema'",
        base.message(durable.open, "postgres://u@h/d", { shema = "x" }))
      assert.matches("'schema'", base.message(durable.open, "postgres://h", { schema = "a-b" }))
    end)
  end)

  it("is refused when it cannot be read, and what is wrong is said", function()
    assert.matches("'=' and a value follow", location.problem("postgres://h?sslmode", none))
    assert.matches("two hexadecimal digits", location.problem("postgres://u:a%zz@h/d", none))
    assert.matches("no spaces", location.problem("postgres://u@h/a b", none))
    assert.matches("expected", location.problem("postgres:h", none))
    assert.is_nil(location.problem("postgresql://u:p%40@h1:1,h2:2/d?application_name=x", none))
  end)

  it("takes its passwords out of messages", function()
    local censor = location.censor "postgres://u:se%40cret@h/d?sslpassword=pass.wd"
    assert.equal("no *** here, nor ***, nor ***",
      censor " no se@cret here,\n nor se%40cret, nor pass.wd\n")
  end)

  it("is in no message with its password when nobody answers #D24", function()
    uvjobs.run(function()
      local err = base.raises("unavailable", durable.open,
        "postgres://user:hunter2@127.0.0.1:1/d?connect_timeout=2")
      local text = tostring(err) .. tostring(err.traceback)
      assert.matches("PostgreSQL", text)
      assert.is_nil(text:find("hunter2", 1, true))
    end)
  end)

  it("says how long connecting may take", function()
    assert.equal(5, location.timeout "postgres://h")
    assert.equal(2, location.timeout "postgres://h?connect_timeout=2")
    assert.equal(60, location.timeout "postgres://h?connect_timeout=9999")
    assert.equal(5, location.timeout "postgres://h?connect_timeout=0")
  end)

  it("needs the real clock", function()
    uvjobs.run({ clock = "virtual" }, function()
      assert.matches("real clock", base.message(durable.open, "postgres://h"))
    end)
  end)
end)
