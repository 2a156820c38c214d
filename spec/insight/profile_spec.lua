-- insight.profile().

local helper = require "spec.helper"
local insight = require "uvjobs.insight"
local uvjobs = require "uvjobs"
local coroutine = require "uvjobs.coroutine"

--- Calls fn(path) with the name of a file that is removed afterwards.
local function with_file(fn)
  local path = os.tmpname()
  local ok, err = xpcall(fn, debug.traceback, path)
  os.remove(path)
  if not ok then error(err, 0) end
end

--- The samples by stacks.
local function read(path)
  local samples = {}
  for line in io.lines(path) do
    local stack, n = line:match "^(.+) (%d+)$"
    assert.is_nil(samples[stack])
    samples[stack] = tonumber(n)
  end
  return samples
end

--- How many samples have a stack with this pattern.
local function count(path, pattern)
  local n = 0
  for stack, samples in pairs(read(path)) do
    if stack:find(pattern) then n = n + samples end
  end
  return n
end

local function inner(over)
  local n = 0
  while uvjobs.now() < over do n = n + 1 end
  return n
end

local function outer(seconds) return (inner(uvjobs.now() + seconds)) end

--- Repeats work(path) until it has been seen, since a loaded machine can be slow to tell.
local function until_seen(options, work, pattern)
  with_file(function(path)
    options.file = path
    for _ = 1, 50 do
      local profile = insight.profile(options)
      work()
      profile:close()
      if count(path, pattern) > 0 then return end
    end
    error("never seen: " .. pattern)
  end)
end

describe("insight.profile", function()
  after_each(helper.check_clean)

  it("has the job, its functions and their lines", function()
    uvjobs.run(function()
      until_seen({ rate = 1000 }, function()
        local jobs <close> = uvjobs.scheduler { name = "shop" }
        jobs:spawn({ name = "imp;ort" }, outer, 0.02)
      end, "^imp,ort;function %(spec/insight/profile_spec%.lua:%d+%);inner %([^;]*:%d+%)")
    end)
  end)

  it("takes the name of the scheduler for a job without one", function()
    uvjobs.run(function()
      until_seen({ rate = 1000 }, function()
        local jobs <close> = uvjobs.scheduler { name = "shop" }
        jobs:spawn(outer, 0.02)
      end, "^shop;")
    end)
  end)

  it("has a function of C that takes long, as often as a sample was due", function()
    uvjobs.run(function()
      until_seen({ rate = 100 }, function()
        local jobs <close> = uvjobs.scheduler()
        jobs:spawn({ name = "blocked" }, function() os.execute "sleep 0.1" end)
      end, "^blocked;.*execute %[C%]$")
    end)
  end)

  it("has the coroutines that a job has nested", function()
    uvjobs.run(function()
      until_seen({ rate = 1000 }, function()
        local jobs <close> = uvjobs.scheduler()
        jobs:spawn({ name = "nested" }, function() coroutine.wrap(outer)(0.02) end)
      end, "^nested;function %(.*;.*%[C%];function %(.*;inner %(")
    end)
  end)

  it("works where instructions are counted, too", function()
    uvjobs.run({ interrupt = "count" }, function()
      until_seen({ rate = 1000 }, function()
        local jobs <close> = uvjobs.scheduler()
        jobs:spawn({ name = "counted" }, outer, 0.02)
      end, "^counted;.*inner")
    end)
  end)

  it("changes neither slices nor deadlines of busy jobs #I3", function()
    with_file(function(path)
      uvjobs.run(function()
        local _ <close> = insight.profile { file = path, rate = 1000 }
        local jobs <close> = helper.quiet { timeslice = 0.002 }
        local busy = jobs:spawn({ timeout = 0.1 }, function() while true do end end)
        local seen = 0
        while busy.active do
          seen = seen + 1
          uvjobs.yield()
        end
        assert.is_true(seen > 1)
        assert.equal("timeout", uvjobs.code(select(2, busy:result())))
        assert.is_true(busy.preemptions > 1)
      end)
    end)
  end)

  it("suspends with `seconds`, and writes the file also when it is cancelled", function()
    with_file(function(path)
      uvjobs.run({ clock = "virtual" }, function()
        local profile = insight.profile { file = path, seconds = 5 }
        assert.equal(5, uvjobs.now())
        assert.equal(0, profile.samples)
        local jobs <close> = helper.quiet()
        local job = jobs:spawn(insight.profile, { file = path, seconds = 60 })
        uvjobs.sleep(1)
        job:close()
        assert.equal("cancelled", job.state)
        insight.profile { file = path }:close() -- there is no other one any more
      end)
    end)
    assert.matches("'profile' must be called in a job",
      helper.message(insight.profile, { file = "/tmp/x", seconds = 1 }))
  end)

  it("is one at a time, and can be closed twice and collected", function()
    with_file(function(path)
      local profile = insight.profile { file = path }
      assert.matches("there is another one", helper.message(insight.profile, { file = path }))
      profile:close()
      profile:close()
      assert.equal(0, profile.samples)
      assert.matches("closed$", tostring(profile))
      insight.profile { file = path }
      collectgarbage()
      collectgarbage()
      insight.profile { file = path }:close()
    end)
  end)

  it("says at once that its file cannot be written, and refuses bad options", function()
    for expected, options in pairs {
      ["cannot write the profile '/no/such/p': No such file or directory"] =
        { file = "/no/such/p" },
      ["bad argument #1 to 'profile' (option 'file' is missing)"] = {},
      ["bad argument #1 to 'profile' (option 'rate': number from 1 to 1000 expected, got 0)"] =
        { file = "x", rate = 0 },
      ["bad argument #1 to 'profile' (option 'rate': number from 1 to 1000 expected, got nan)"] =
        { file = "x", rate = 0 / 0 },
      ["bad argument #1 to 'profile' (unknown option 'hz', known: file, rate, seconds)"] =
        { file = "x", hz = 9 },
    } do
      assert.equal(expected, helper.message(insight.profile, options))
    end
    if io.open "/dev/full" then
      local profile = insight.profile { file = "/dev/full" }
      uvjobs.run(outer, 0.05)
      local ok, err = pcall(profile.close, profile)
      assert.is_true(ok or err:find "No space left" ~= nil)
    end
  end)
end)
