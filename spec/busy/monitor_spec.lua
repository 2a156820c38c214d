-- The monitor is the thread that notices when a job runs too long. When it exists, when it sleeps,
-- and that several Lua states in several threads can each have one.

local uvjobs = require "uvjobs"
local helper = require "spec.helper"

--- The numbers of the threads of this process.
local function threads()
  local pipe <close> = assert(io.popen("ls /proc/$PPID/task"))
  local found = {}
  for line in pipe:lines() do found[#found + 1] = line end
  return found
end

--- The thread of this process that is not in `before`.
local function other_thread(before)
  local known = {}
  for _, id in ipairs(before) do known[id] = true end
  for _, id in ipairs(threads()) do
    if not known[id] then return id end
  end
end

--- How often a thread has gone to sleep of its own accord.
local function sleeps_of(id)
  local file <close> = assert(io.open(("/proc/self/task/%s/status"):format(id)))
  return tonumber(file:read("a"):match("\nvoluntary_ctxt_switches:%s*(%d+)"))
end

--- Asserts that this process has so many threads. The system may still list one that was joined.
local function assert_threads(count)
  for _ = 1, 1000 do
    if #threads() == count then return end
  end
  assert.equal(count, #threads())
end

describe("the monitor", function()
  after_each(helper.check_clean)

  it("is one thread as long as a run is, and is joined at its end", function()
    local before = #threads()
    for _ = 1, 3 do
      assert.equal(before + 1, uvjobs.run(function() return #threads() end))
      assert_threads(before)
    end
    pcall(uvjobs.run, error, "failed")
    assert_threads(before)
  end)

  it("is not there where instructions are counted, or nothing is interrupted", function()
    local before = #threads()
    for _, interrupt in ipairs { "count", "none" } do
      assert.equal(before, uvjobs.run({ interrupt = interrupt }, function()
        return #threads()
      end))
    end
  end)

  it("sleeps while the loop sleeps", function()
    local before = threads()
    uvjobs.run(function()
      local id = assert(other_thread(before))
      uvjobs.sleep(0.05) -- it sees that nothing runs, and parks
      uvjobs.sleep(0.05)
      local grown
      for _ = 1, 10 do -- a machine that pauses the loop's thread keeps the monitor awake
        local sleeps = sleeps_of(id)
        uvjobs.sleep(0.5) -- two hundred looks, if it did not sleep
        grown = sleeps_of(id) - sleeps
        if grown < 20 then return end
      end
      assert.is_true(false, grown .. " looks")
    end)
  end)

  it("looks again when the loop has slept", function()
    uvjobs.run(function()
      for _ = 1, 3 do
        uvjobs.sleep(0.05)
        helper.raises("timeout", uvjobs.timeout, 0.001, function()
          while true do end
        end)
      end
    end)
  end)

  it("serves many Lua states in many threads, by several signals", function()
    local r = helper.child [[
      local uv = require "luv"
      local all = {}
      for i, signal in ipairs { "SIGURG", "SIGUSR1", "SIGURG", "SIGUSR2", "SIGUSR1" } do
        all[i] = uv.new_thread(function(path, cpath, name)
          package.path, package.cpath = path, cpath
          local uvjobs = require "uvjobs"
          for _ = 1, 5 do
            uvjobs.run({ interrupt = name }, function()
              local function jobs(close_timeout)
                return uvjobs.scheduler {
                  timeslice = 0.001, close_timeout = close_timeout,
                  exception_handler = function() end,
                }
              end
              local function forever() while true do end end
              local seconds, begun, one, two, _ = 0.02, false, nil, nil, nil
              while not begun do -- the limit may pass before
                local quiet = jobs(60):spawn({ timeout = seconds }, forever)
                local loud = jobs(0.01):spawn({ timeout = seconds }, function()
                  while true do pcall(function() begun = true forever() end) end
                end)
                _, one = pcall(quiet.wait, quiet)
                _, two = pcall(loud.wait, loud)
                seconds = 3 * seconds
              end
              if uvjobs.code(one) ~= "timeout" or uvjobs.code(two) ~= "killed" then
                io.write("wrong: ", tostring(one), " ", tostring(two), "\n")
              end
            end)
          end
          io.write("ended\n")
        end, package.path, package.cpath, signal)
      end
      for _, thread in ipairs(all) do thread:join() end
      local pipe = io.popen("ls /proc/$PPID/task | wc -l")
      io.write(pipe:read("n"), " left\n")
      io.stdout:flush()
      os.exit(true) -- luv 1.48 crashes when a state closes that has had threads
    ]]
    assert.equal("", r.err)
    assert.equal(0, r.status)
    assert.equal(("ended\n"):rep(5) .. "1 left\n", r.out)
  end)
end)
