-- How busy jobs are interrupted: the options of run, and what debug hooks and system calls notice.

debug.sethook() -- makes a table in the registry, the first time
local helper = require "spec.helper"
local uvjobs = require "uvjobs"

local message = helper.message

local burn, forever = helper.burn, helper.forever

-- Runs `fn` in a job that is preempted, beside another one.
local function sliced(options, fn)
  return uvjobs.run(options, function()
    local s <close> = uvjobs.scheduler { timeslice = 0.001, close_timeout = 60 }
    local job = s:spawn(fn)
    s:spawn(burn, 0.01)
    local results = table.pack(job:wait())
    return job, table.unpack(results, 1, results.n)
  end)
end

describe("the option", function()
  after_each(helper.check_clean)

  local function refused(key, value)
    return message(uvjobs.run, { [key] = value }, error, "ran")
  end

  it("interrupt must be one of its words", function()
    for _, bad in ipairs { "", "x", "sigurg", "URG", "SIGINT", "SIGKILL", "Count" } do
      assert.equal(("bad argument #1 to 'run' (option 'interrupt': the name of a signal like "
        .. "'SIGURG', 'count' or 'none' expected, got '%s')"):format(bad),
        refused("interrupt", bad))
    end
    for _, bad in ipairs { true, 16, {}, print } do
      local text = refused("interrupt", bad)
      assert.matches("^bad argument #1 to 'run' %(option 'interrupt': ", text)
      assert.matches("got " .. (bad == 16 and "16" or type(bad)), text)
    end
    assert.matches("did you mean 'interrupt'", refused("interupt", "count"))
  end)

  local bad_times = {
    { -1, "-1" }, { 0 / 0, "nan" }, { -math.huge, "-inf" }, { "1", "'1'" }, { true, "boolean" },
    { {}, "table" }, { print, "function" },
  }

  it("timeslice must be seconds > 0 or math.huge", function()
    for _, bad in ipairs { { 0, "0" }, { 0.0, "0.0" }, { false, "boolean" },
                           table.unpack(bad_times) } do
      for name, text in pairs {
        run = refused("timeslice", bad[1]),
        scheduler = message(uvjobs.scheduler, { timeslice = bad[1] }),
      } do
        local expected = ("bad argument #1 to '%s' (option 'timeslice': seconds > 0 or math.huge "
          .. "expected, got %s)"):format(name, bad[2])
        assert.equal(expected, text)
      end
    end
    assert.equal(math.huge, uvjobs.scheduler().timeslice)
    assert.equal(math.huge, uvjobs.scheduler({ timeslice = math.huge }).timeslice)
    assert.equal(0.25, uvjobs.scheduler({ timeslice = 0.25 }).timeslice)
  end)

  it("slow must be seconds >= 0 or false", function()
    for _, bad in ipairs(bad_times) do
      local text = refused("slow", bad[1])
      assert.matches("^bad argument #1 to 'run' %(option 'slow': ", text)
      assert.is_truthy(text:find("got " .. bad[2], 1, true), text)
    end
    assert.equal(1, uvjobs.run({ slow = 0 }, function() return 1 end))
    assert.equal(1, uvjobs.run({ slow = false }, function() return 1 end))
  end)

  it("stats must be a boolean", function()
    for _, bad in ipairs { { 1, "1" }, { "yes", "'yes'" }, { {}, "table" } } do
      assert.equal(("bad argument #1 to 'run' (option 'stats': boolean expected, got %s)")
        :format(bad[2]), refused("stats", bad[1]))
    end
    assert.equal(1, uvjobs.run({ stats = false }, function() return 1 end))
  end)
end)

describe("interruption by", function()
  after_each(helper.check_clean)

  for _, interrupt in ipairs {
    "SIGURG", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGVTALRM", "SIGPROF", "SIGWINCH", "SIGIO", "count",
  } do
    it(interrupt .. " ends and preempts busy jobs", function()
      uvjobs.run({ interrupt = interrupt, timeslice = 0.001 }, function()
        local s <close> = uvjobs.scheduler { timeslice = 0.001, close_timeout = 60 }
        local job = s:spawn({ timeout = 0.001 }, forever)
        helper.raises("timeout", job.wait, job)
        job = s:spawn(forever)
        while job.preemptions == 0 do end -- the main job is preempted, too
        job:close()
        assert.equal("cancelled", job.state)
        assert.is_true(uvjobs.current().preemptions > 0)
      end)
    end)
  end

  it("none does not happen", function()
    uvjobs.run({ interrupt = "none", timeslice = 0.001, slow = 0 }, function()
      local s <close> = uvjobs.scheduler { timeslice = 0.001, exception_handler = error }
      local job = s:spawn({ timeout = 0.001 }, burn, 0.02)
      burn(0.02)
      job:wait()
      uvjobs.timeout(0, burn, 0.01)
      assert.equal(0, job.preemptions)
      assert.equal(0, uvjobs.current().preemptions)
    end)
  end)
end)

describe("a debug hook of a user", function()
  after_each(function()
    debug.sethook()
    helper.check_clean()
  end)

  local calls
  local function hook(event) calls[event] = (calls[event] or 0) + 1 end

  before_each(function() calls = {} end)

  local function called()
    local n = 0
    for _, count in pairs(calls) do n = n + count end
    return n
  end

  -- Computes until the hook has been called, and not for ever if it is not.
  local function burn_until_called()
    local before = called()
    for _ = 1, 1000 do
      burn(0.0001)
      if called() > before then return end
    end
  end

  for _, kind in ipairs {
    { "line", "l", 0 }, { "call", "c", 0 }, { "return", "r", 0 }, { "count", "", 100 },
    { "count of one", "", 1 },
  } do
    local name, mask, count = table.unpack(kind)

    it("survives interruptions when a job has set it: " .. name, function()
      local job, before, after, f, m, c = sliced({}, function()
        debug.sethook(hook, mask, count)
        local me = uvjobs.current()
        while me.preemptions < 3 do burn(0.0001) end
        local n = called()
        burn_until_called()
        return n, called(), debug.gethook()
      end)
      assert.is_true(job.preemptions >= 3)
      assert.is_true(before > 0)
      assert.is_true(after > before)
      assert.same({ hook, mask, count }, { f, m, c })
    end)

    it("survives an error that is raised in a job: " .. name, function()
      uvjobs.run(function()
        debug.sethook(hook, mask, count)
        helper.raises("timeout", uvjobs.timeout, 0.001, function() while true do burn(0) end end)
        local before = called()
        burn_until_called()
        assert.is_true(called() > before)
        assert.same({ hook, mask, count }, { debug.gethook() })
      end)
    end)
  end

  -- Lua keeps a hook for each coroutine, so a hook that is set outside jobs is not one of theirs.
  it("that was set before run is there after it, and goes on being called", function()
    debug.sethook(hook, "c")
    sliced({}, function()
      while uvjobs.current().preemptions < 2 do burn(0.0001) end
    end)
    local before = called()
    burn(0)
    local outside = { debug.gethook() }
    assert.is_true(called() > before)
    assert.same({ hook, "c", 0 }, outside)
  end)

  for _, interrupt in ipairs { "SIGURG", "count" } do
    it("is not left behind by uvjobs on any coroutine, by " .. interrupt, function()
      local threads = {}
      local job = sliced({ interrupt = interrupt }, function()
        local me = uvjobs.current()
        threads[1] = coroutine.running()
        while me.preemptions < 3 do
          local co = coroutine.create(function()
            burn(0.0005)
            coroutine.yield()
            for _ = 1, 2000 do type(me) end
            coroutine.yield()
          end)
          coroutine.resume(co)
          threads[#threads + 1] = co
        end
        pcall(uvjobs.timeout, 0.001, forever)
        if interrupt == "SIGURG" then assert.is_nil((debug.gethook())) end
      end)
      assert.is_true(job.preemptions >= 3)
      threads[#threads + 1] = coroutine.running()
      for i = 2, #threads do
        local co = threads[i]
        -- A coroutine that inherited the counting hook loses it when it runs on.
        if coroutine.status(co) == "suspended" then coroutine.resume(co) end
        assert.is_nil((debug.gethook(co)))
      end
      assert.is_nil((debug.gethook()))
    end)
  end
end)

describe("a system call of other code", function()
  after_each(helper.check_clean)

  for _, interrupt in ipairs { "SIGURG", "SIGUSR1" } do
    it("is restarted when it is interrupted, by " .. interrupt, function()
      local job, text, closed = sliced({ interrupt = interrupt }, function()
        local pipe = io.popen("sleep 0.05; echo first; sleep 0.05; echo second")
        local text = pipe:read("a")
        while uvjobs.current().preemptions == 0 do burn(0.0001) end
        return text, pipe:close()
      end)
      assert.equal("first\nsecond\n", text)
      assert.is_true(closed)
      assert.is_true(job.preemptions > 0)
    end)
  end
end)
