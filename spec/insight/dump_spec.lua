-- The text of uvjobs.dump(), and the signal that asks for it.

local files = require "spec.files"
local helper = require "spec.helper"
local process = require "spec.process"
local uvjobs = require "uvjobs"

local virtual = helper.virtual

--- The text, with places that differ from run to run made equal.
local function text_of()
  local list = {}
  uvjobs.dump(function(text) list[#list + 1] = text end)
  assert.equal(1, #list)
  return (list[1]:gsub("<?[^ ]*dump_spec.lua:%d+>?", "SPEC"):gsub("#%d+", "#")
    :gsub("in field 'sleep'", "in function 'uvjobs.sleep'")) -- as Lua 5.5 says it
end

describe("uvjobs.dump", function()
  it("tells every job by scheduler, and those that do the same at the same place once", function()
    local text = uvjobs.run({ clock = "virtual", date = 86400 }, function()
      local scheduler <close> = helper.quiet { name = "shop", limit = 3 }
      for _ = 1, 4 do scheduler:spawn({ name = "sale" }, function() uvjobs.sleep(9) end) end
      uvjobs.sleep(2)
      local text = text_of()
      scheduler:close()
      return text
    end)
    assert.equal([[
uvjobs: 5 jobs, 1970-01-02 00:00:02 UTC
scheduler "main": 1 active, 0 pending, no limit
  # "main": active, 2 s old
    it runs
      SPEC: in upvalue 'text_of'
      SPEC: in function SPEC
scheduler "shop": 3 active, 1 pending, limit 3
  # "sale", # "sale", # "sale": active, 2 s to 2 s old, spawned by #
    it sleeps, 7 s left
      [C]: in function 'uvjobs.sleep'
      SPEC: in function SPEC
  # "sale": pending, 2 s old, spawned by #
    it waits for a slot of scheduler "shop", taken by # "sale", # "sale", # "sale"
]], text)
  end)

  it("tells jobs together if the same functions have called, and not the same closures", function()
    virtual(function()
      local scheduler <close> = helper.quiet { name = "shop" }
      local function wait(n)
        if n > 0 then return (wait(n - 1)) end
        uvjobs.sleep(9)
      end
      local function of_closure() return function() wait(0) end end
      for _ = 1, 2 do scheduler:spawn({ name = "closure" }, of_closure()) end
      for _ = 1, 2 do scheduler:spawn({ name = "deep" }, wait, 3) end
      scheduler:spawn({ name = "deep" }, wait, 4)
      scheduler:spawn({ name = "deep" }, wait, 30000)
      uvjobs.sleep(1)
      local text = text_of()
      assert.matches('\n  # "closure", # "closure": active', text)
      assert.matches('\n  # "deep", # "deep": active', text)
      assert.equal(3, select(2, text:gsub('\n  # "deep"', "")))
      scheduler:close()
    end)
  end)

  it("names the jobs that wait for each other before anything else", function()
    virtual(function()
      local scheduler <close> = helper.quiet()
      local a, b = uvjobs.mutex(), uvjobs.mutex()
      for i = 1, 2 do
        scheduler:spawn({ name = "j" .. i }, function()
          (i == 1 and a or b):lock()
          uvjobs.sleep(1);
          (i == 1 and b or a):lock()
        end)
      end
      uvjobs.sleep(2)
      assert.matches('^[^\n]*\nthese jobs wait for each other, each for the next: '
        .. '# "j1", # "j2", # "j1"\n', text_of())
      scheduler:close()
    end)
  end)

  it("says that there are no jobs outside of a run", function()
    assert.matches("^uvjobs: 0 jobs, [^\n]* UTC\n$", text_of())
  end)

  it("writes the names of jobs on one line", function()
    virtual(function()
      local scheduler <close> = helper.quiet { name = "a\nb" }
      scheduler:spawn({ name = "c\nd" }, function() uvjobs.sleep(9) end)
      uvjobs.sleep(1)
      local text = text_of()
      assert.matches('\nscheduler "a\\nb": ', text)
      assert.matches('\n  # "c\\nd": ', text)
      scheduler:close()
    end)
  end)

  it("raises the error of the function that writes", function()
    assert.has_error(function() uvjobs.dump(function() error("no room", 0) end) end, "no room")
  end)

  it("refuses what is no function", function()
    assert.has_error(function() uvjobs.dump(1) end,
      "bad argument #1 to 'dump' (function expected, got number)")
  end)
end)

-- ---- by a signal --------------------------------------------------------------------------

-- A script that sends itself SIGQUIT by a child, and ends when it is told by SIGTERM.
local PRELUDE <const> = [[
local uvjobs = require "uvjobs"
local function quit() io.popen "kill -QUIT $PPID":close() end
]]

describe("run{ dump = }", function()
  it("writes a dump for each signal, and the run goes on", function()
    local result = process.run(PRELUDE .. [[
      uvjobs.run({ dump = "SIGQUIT" }, function()
        for _ = 1, 2 do
          quit()
          uvjobs.sleep(0.01)
        end
        print "went on"
      end)]])
    assert.equal("went on\n", result.out)
    assert.equal(0, result.status)
    local _, count = result.err:gsub("uvjobs: 1 job,", "")
    assert.equal(2, count)
  end)

  it("writes where a job stands that computes without end", function()
    local result = process.run(PRELUDE .. [[
      uvjobs.run({ dump = "SIGQUIT" }, function()
        local scheduler <close> = uvjobs.scheduler()
        scheduler:spawn({ name = "busy" }, function()
          quit()
          local written
          repeat -- until the dump is there, without a chance for others
            local file <close> = io.open "/proc/self/fd/2"
            written = file:seek "end"
          until written > 0
        end)
      end)]])
    assert.equal(0, result.status)
    assert.matches('#2 "busy": active, [^\n]*\n    it runs\n      [^\n]*:%d+: in ',
      result.err)
  end)

  it("leaves SIGQUIT alone when nobody asks for it", function()
    local result = process.run(PRELUDE .. [[
      uvjobs.run(function() quit() uvjobs.sleep(5) end)]])
    assert.equal(131, result.status)
    assert.is_nil(result.err:find "uvjobs:")
  end)

  it("is not a first signal after which the next one ends the process", function()
    local result = process.run(PRELUDE .. [[
      uvjobs.run({ dump = "SIGUSR1" }, function()
        local _ <close> = setmetatable({}, { __close = function() print "cleaned up" end })
        io.popen "kill -USR1 $PPID":close()
        uvjobs.sleep(0.01)
        io.popen "kill -TERM $PPID":close()
        uvjobs.sleep(5)
      end)]])
    assert.equal("cleaned up\n", result.out)
  end)

  it("is on in the command, and can be switched off there", function()
    local path = files.temporary [[
      io.popen "kill -QUIT $PPID":close()
      require "uvjobs".sleep(0.01)
      print "went on"]]
    -- timeout(1) makes sure that SIGQUIT is not ignored, which a shell sees to for what it runs in
    -- the background.
    local command = "timeout 60 " .. process.command() .. " bin/uvjobs %s " .. path .. " 2>&1"
    local on = io.popen(command:format ""):read "a"
    local off = io.popen(command:format "--dump=none"):read "a"
    os.remove(path)
    assert.matches("uvjobs: 1 job,.*went on\n$", on)
    assert.is_nil(off:find "went on")
  end)

  it("refuses what is no name, and signals that are asked for something else", function()
    local function refused(message, options)
      assert.has_error(function() uvjobs.run(options, print) end,
        "bad argument #1 to 'run' (" .. message .. ")")
    end
    refused("option 'dump': false or the name of a signal like 'SIGQUIT' expected, got 'SIGKILL'",
      { dump = "SIGKILL" })
    refused("option 'dump': false or the name of a signal like 'SIGQUIT' expected, got boolean",
      { dump = true })
    refused("options 'signals' and 'dump' cannot both have a signal",
      { dump = "SIGTERM" })
    refused("options 'dump' and 'interrupt' cannot both have a signal",
      { dump = "SIGUSR1", interrupt = "SIGUSR1" })
    assert.is_true(uvjobs.run({ dump = false }, function() return true end))
  end)
end)
