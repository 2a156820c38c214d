-- uvjobs.exec leaves no process behind, also where its job has little time; and its
-- limits.
local luv = require "luv"
local uvjobs = require "uvjobs"
local helper = require "spec.helper"
local exec_helper = require "spec.exec.helper"

local exec, in_run = uvjobs.exec, helper.in_run

local exists, runs, wait_until = exec_helper.exists, exec_helper.runs, exec_helper.wait_until
local STUBBORN <const> = exec_helper.STUBBORN

describe("exec leaves nothing", function()
  local STUBBORN_ONE <const> = { "-c", STUBBORN }

  it("when its job has less time to end than its scheduler gives #M8", in_run(function()
    local pid
    local jobs <close> = helper.quiet { close_timeout = 5 }
    local job = jobs:spawn(exec, "sh", STUBBORN_ONE,
      { on_stdout = function(line) pid = tonumber(line) end })
    wait_until(function() return pid end)
    pcall(job.close, job, 0.1)
    wait_until(function() return not exists(pid) end)
  end))

  it("below several levels of children", in_run(function()
    local pid
    local jobs = helper.quiet()
    jobs:spawn(function()
      uvjobs.all { function()
        uvjobs.all { function()
          exec("sh", STUBBORN_ONE, { on_stdout = function(line) pid = tonumber(line) end })
        end }
      end }
    end)
    wait_until(function() return pid end)
    jobs:close()
    wait_until(function() return not exists(pid) end)
  end))

  it("when the Lua state closes", function()
    local r = helper.child [[
      local uvjobs = require "uvjobs"
      uvjobs.run(function()
        local jobs <close> = uvjobs.scheduler()
        jobs:spawn(uvjobs.exec, "sh", { "-c", "echo $$; exec sleep 1000" }, {
          on_stdout = function(pid)
            print(pid)
            io.stdout:flush()
            os.exit(0, true)
          end,
        })
      end)
    ]]
    assert.equal(0, r.status)
    local pid = assert(tonumber(r.out))
    for _ = 1, 60000 do
      if not runs(pid) then return end
      luv.sleep(1)
    end
    assert.is_true(false, "the process runs a minute later")
  end)

  it("in an embedding program that ends", function()
    local r = helper.child [[
      local uvjobs = require "uvjobs"
      local job = uvjobs.start(uvjobs.exec, "true")
      while not job.closed do uvjobs.step() end
    ]]
    assert.same({ status = 0, out = "", err = "" }, r)
  end)
end)

describe("the limits of exec", function()
  it("can be none", in_run(function()
    assert.equal("hi\n", exec("echo", { "hi" }, { max_output = math.huge }).stdout)
  end))

  it("hold for every line", in_run(function()
    local lines = {}
    local _, why = exec("printf", { "ab\\n0123456789\\nc\\n" }, {
      max_output = 5, on_stdout = function(line) lines[#lines + 1] = line end,
    })
    assert.equal("limit", why)
    assert.same({ "ab" }, lines)
  end))
end)
