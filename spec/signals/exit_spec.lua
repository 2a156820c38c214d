-- uvjobs.exit(), and os.exit() in a job.

local helper = require "spec.helper"

local PRELUDE <const> = [[
  local uvjobs = require "uvjobs"
  io.stdout:setvbuf("no")
  local function closing(text)
    return setmetatable({}, { __close = function(_, err) print(text, uvjobs.code(err)) end })
  end
]]

local function play(script, env)
  local r = helper.child(PRELUDE .. script, env)
  return r.out, r.status, r.err
end

describe("os.exit in a job", function()
  it("runs the to-be-closed variables of the job, from the inside out, and of the others #M14",
    function()
      local r = helper.child([[
        local uvjobs, cojobs = require "uvjobs", require "uvjobs.coroutine"
        io.stdout:setvbuf("no")
        local function closing(text)
          return setmetatable({}, { __close = function() print(text) end })
        end
        local _ <close> = closing "chunk"
        uvjobs.run(function()
          local _ <close> = closing "main"
          local jobs = uvjobs.scheduler { timeslice = 0.001 }
          jobs:spawn(function()
            local _ <close> = closing "job"
            local _ <close> = setmetatable({}, { __close = function() error "in a handler" end })
            local _ <close> = setmetatable({}, { __close = function() -- longer than a slice
              for _ = 1, 1e6 do end
            end })
            cojobs.wrap(function()
              local _ <close> = closing "coroutine"
              uvjobs.timeout(60, uvjobs.protect, pcall, function()
                local _ <close> = closing "call"
                os.exit(5, true)
              end)
            end)()
          end)
          uvjobs.sleep(60)
        end)
      ]])
      assert.equal("chunk\ncall\ncoroutine\njob\nmain\n", r.out)
      assert.equal(5, r.status)
    end)

  for _, mode in ipairs { "SIGURG", "count" } do
    it("does so in a job that computes, with interrupt = " .. mode, function()
      local out, status = play(([[
        uvjobs.run({ interrupt = "%s", timeslice = 0.001 }, function()
          local _ <close> = closing "closed"
          local stop = uvjobs.now() + 0.02
          while uvjobs.now() < stop do end
          os.exit(true, true)
        end)
      ]]):format(mode))
      assert.equal("closed\tnil\n", out)
      assert.equal(0, status)
    end)
  end

  it("leaves them alone without its second argument", function()
    local out, status = play [[
      uvjobs.run(function() local _ <close> = closing "closed" os.exit(4) end)
    ]]
    assert.equal("", out)
    assert.equal(4, status)
  end)

  it("lets the first signal end the process while it waits for a thread", function()
    local out, status = play [[
      uvjobs.run(function()
        local jobs = uvjobs.scheduler()
        -- A match that takes longer than anybody waits.
        jobs:spawn(uvjobs.work, function()
          io.popen "sleep 0.5; kill -TERM $PPID"
          ;(("a"):rep(60)):find(("a-"):rep(30) .. "b")
        end)
        uvjobs.sleep(0.1)
        print "leaving"
        os.exit(0, true)
      end)
    ]]
    assert.equal("leaving\n", out)
    assert.equal(143, status)
  end)
end)

describe("exit", function()
  it("ends the program from any job, with all clean-up, and with its status", function()
    local out, status, err = play [[
      local _ <close> = closing "chunk"
      uvjobs.run(function()
        local _ <close> = closing "main"
        local jobs <close> = uvjobs.scheduler()
        local others = uvjobs.scheduler()
        others:spawn(function() local _ <close> = closing "other" uvjobs.sleep(60) end)
        jobs:spawn(function()
          local _ <close> = closing "caller"
          uvjobs.exit(7)
          print "not here"
        end)
        uvjobs.sleep(60)
      end)
      print "not here"
    ]]
    assert.equal("caller\tcancelled\nmain\tcancelled\nother\tcancelled\nchunk\tnil\n", out)
    assert.same({ 7, "" }, { status, err })
  end)

  it("takes true, false, nothing and integers from 0 to 255", function()
    local statuses = { [""] = 0, ["true"] = 0, ["false"] = 1, ["0"] = 0, ["255"] = 255 }
    for given, expected in pairs(statuses) do
      local _, status, err = play("uvjobs.run(function() uvjobs.exit(" .. given .. ") end)")
      assert.same({ expected, "" }, { status, err }, given)
    end
  end)

  it("refuses everything else, and goes on", function()
    for given, came in pairs {
      ["-1"] = "%-1", ["256"] = "256", ["1.5"] = "1.5", ["0/0"] = "[+-]?nan", ["'1'"] = "1",
      ["{}"] = "table",
    } do
      local out, status = play(([[
        uvjobs.run(function() print(select(2, pcall(uvjobs.exit, %s))) end)
      ]]):format(given))
      assert.matches("^bad argument #1 to 'exit' %(integer from 0 to 255 or boolean expected, got "
        .. came .. "[^)]*%)\n$", out)
      assert.equal(0, status)
    end
  end)

  it("needs a run", function()
    local out = play "print(pcall(uvjobs.exit, 1))"
    assert.equal(
      "false\t'exit' must be called while 'uvjobs.run' runs (use os.exit elsewhere)\n", out)
  end)

  it("cancels the calling job at once, also in protect", function()
    local out, status = play [[
      uvjobs.run(function()
        print(uvjobs.code(select(2, pcall(uvjobs.protect, uvjobs.exit, 2))))
        print(uvjobs.code(select(2, pcall(uvjobs.yield))))
      end)
    ]]
    assert.same({ "cancelled\ncancelled\n", 2 }, { out, status })
  end)

  it("keeps the status of its first call", function()
    local _, status = play [[
      uvjobs.run(function() pcall(uvjobs.exit, 3) pcall(uvjobs.exit, 0) end)
    ]]
    assert.equal(3, status)
  end)

  it("works in a callback of luv, and while run closes what is left", function()
    local out, status = play [[
      local luv = require "luv"
      uvjobs.run(function()
        luv.new_timer():start(1, 0, function() uvjobs.exit(6) print "goes on" end)
        uvjobs.sleep(60)
      end)
    ]]
    assert.same({ "goes on\n", 6 }, { out, status })
    out, status = play [[
      local jobs = uvjobs.scheduler()
      uvjobs.run(function()
        jobs:spawn(function()
          local _ <close> = setmetatable({}, { __close = function() uvjobs.exit(8) end })
          uvjobs.sleep(60)
        end)
        uvjobs.yield()
      end)
    ]]
    assert.same({ "", 8 }, { out, status })
  end)

  it("kills a main job that goes on after the close timeout of run, and says so #M8", function()
    local _, status, err = play [[
      uvjobs.run({ close_timeout = 0.02 }, function()
        pcall(uvjobs.exit, 9)
        while true do pcall(uvjobs.sleep, 60) end
      end)
    ]]
    assert.equal(9, status)
    assert.matches('job #1 "main" was killed', err)
  end)

  it("prints an error that the main job raises meanwhile", function()
    local _, status, err = play [[
      uvjobs.run(function()
        local _ <close> = setmetatable({}, { __close = function() error("no luck", 0) end })
        uvjobs.exit(0)
      end)
    ]]
    assert.same({ 0, "no luck\n" }, { status, err })
  end)

  it("raises an error in a thread of work, which it cannot end", function()
    local out, status = play [[
      uvjobs.run(function()
        print(pcall(uvjobs.work, function()
          local own = require "uvjobs"
          own.run(own.exit, 3)
        end))
      end)
    ]]
    assert.matches("^false\t.*exit", out)
    assert.equal(0, status)
  end)
end)
