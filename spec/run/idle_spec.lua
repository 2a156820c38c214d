-- A program that waits is not woken. These specs count the turns of our loop, the rounds of luv's
-- loop, and how often the process gave the processor away. A loop that polled each millisecond
-- would do each of them two hundred times.
local cqueues = require "cqueues"
local luv = require "luv"
local uvjobs = require "uvjobs"
local uv = require "uvjobs.uv"
local guard = require "spec.guard"

local WAIT <const> = 0.2 -- seconds
local FEW <const> = 60

-- Calls `wait`, and returns by how much each count has grown meanwhile.
local function count_during(wait)
  local rounds = 0
  local prepare = luv.new_prepare()
  prepare:start(function() rounds = rounds + 1 end)
  prepare:unref()
  local stats, usage = uvjobs.stats(), luv.getrusage()
  wait()
  local stats_after, usage_after = uvjobs.stats(), luv.getrusage()
  prepare:close()
  return {
    turns = stats_after.turns - stats.turns,
    resumes = stats_after.resumes - stats.resumes,
    rounds = rounds,
    switches = usage_after.nvcsw - usage.nvcsw,
  }
end

-- A count of the measurement that is more than a few, as text; or nil.
local function too_many(counts)
  assert.is_true(counts.turns >= 1 and counts.resumes >= 1)
  for name, count in pairs(counts) do
    if count > FEW then return ("%d %s"):format(count, name) end
  end
end

-- On a busy machine a process gives the processor away for other reasons, too. A loop that polls
-- would fail each of these attempts.
local ATTEMPTS <const> = 10

local function assert_few(measure)
  local problem
  for _ = 1, ATTEMPTS do
    problem = too_many(measure())
    if not problem then return end
  end
  assert.is_nil(problem)
end

-- Waits until the jobs have begun to wait.
local function settle()
  for _ = 1, 50 do
    local turns = uvjobs.stats().turns
    uvjobs.sleep(0.005)
    if uvjobs.stats().turns <= turns + 1 then return end
  end
end

local function server_of(jobs)
  local server = uv.new_tcp()
  assert(server:bind("127.0.0.1", 0))
  assert(server:listen(8))
  jobs:spawn(function() for _ in server:connections() do assert(false) end end)
  return server
end

-- Jobs that wait for what does not come.
local waits = {
  ["a server"] = function(jobs) return server_of(jobs) end,
  ["a connection"] = function(jobs)
    local fds = luv.socketpair()
    local left, right = uv.new_pipe(false), uv.new_pipe(false)
    left:open(fds[1])
    right:open(fds[2])
    jobs:spawn(left.read_some, left)
    return left, right
  end,
  ["a datagram"] = function(jobs)
    local udp = uv.new_udp()
    udp:bind("127.0.0.1", 0)
    jobs:spawn(udp.receive, udp)
    return udp
  end,
  ["a file to change"] = function(jobs)
    local watch = uv.new_fs_event()
    watch:start "spec"
    jobs:spawn(watch.next, watch)
    return watch
  end,
  ["a signal"] = function(jobs)
    local signal = uv.new_signal()
    signal:start "sigusr2"
    jobs:spawn(signal.next, signal)
    return signal
  end,
  ["a descriptor"] = function(jobs)
    local fds = luv.socketpair()
    local keep <const> = fds[2]
    local poll = uv.new_poll(fds[1])
    poll:start "r"
    jobs:spawn(function()
      poll:next()
      luv.fs_close(fds[1])
      luv.fs_close(keep)
    end)
    return poll
  end,
  ["a timer that is far away"] = function(jobs)
    local timer = uv.new_timer()
    timer:start(3600000)
    jobs:spawn(timer.next, timer)
    return timer
  end,
  ["a child process"] = function(jobs)
    local child = jobs:spawn(uvjobs.exec, "sleep", { "60" })
    return { close = function() child:close() end }
  end,
  ["a job that waits for ever"] = function(jobs)
    local event = uvjobs.event()
    jobs:spawn(event.wait, event)
    return { close = function() event:set() end }
  end,
}

describe("an idle program", function()
  guard.install(function()
    uvjobs.run(function()
      uvjobs.exec "true"
      local jobs <close> = uvjobs.scheduler { close_timeout = 60 }
      for _, handle in ipairs { waits["a file to change"](jobs), waits["a signal"](jobs) } do
        uvjobs.yield()
        handle:close()
      end
    end)
    uvjobs.fd()
    cqueues.poll(0)
  end)

  it("would be found out if it polled", function()
    local counts = uvjobs.run({ interrupt = "none" }, function()
      return count_during(function()
        for _ = 1, 2 * FEW do uvjobs.sleep(0.001) end
      end)
    end)
    assert.is_true(counts.turns > FEW and counts.resumes > FEW, counts.turns)
    assert.is_true(counts.switches > FEW, counts.switches)
  end)

  for _, interrupt in ipairs { "none", "SIGURG", "count" } do
    it("sleeps all the time, with interrupt = " .. interrupt, function()
      assert_few(function()
        return uvjobs.run({ interrupt = interrupt }, function()
          return count_during(function() uvjobs.sleep(WAIT) end)
        end)
      end)
    end)

    it("sleeps with all kinds of open handles, with interrupt = " .. interrupt, function()
      uvjobs.run({ interrupt = interrupt }, function()
        local jobs <close> = uvjobs.scheduler { close_timeout = 60 }
        local open = {}
        for _, begin in pairs(waits) do
          for _, handle in ipairs { begin(jobs) } do open[#open + 1] = handle end
        end
        settle()
        assert_few(function()
          return count_during(function() uvjobs.sleep(WAIT) end)
        end)
        for _, handle in ipairs(open) do handle:close() end
      end)
    end)
  end

  for name, begin in pairs(waits) do
    it("sleeps while a job waits for " .. name, function()
      uvjobs.run({ interrupt = "none" }, function()
        local jobs <close> = uvjobs.scheduler { close_timeout = 60 }
        local open = { begin(jobs) }
        settle()
        assert_few(function()
          return count_during(function() uvjobs.sleep(WAIT / 4) end)
        end)
        for _, handle in ipairs(open) do handle:close() end
      end)
    end)
  end

  it("sleeps beside handles of luv's own", function()
    local timer, server = luv.new_timer(), luv.new_tcp()
    timer:start(3600000, 0, print)
    server:bind("127.0.0.1", 0)
    server:listen(8, print)
    assert_few(function()
      return uvjobs.run({ interrupt = "none" }, function()
        uvjobs.yield()
        return count_during(function() uvjobs.sleep(WAIT) end)
      end)
    end)
    timer:close()
    server:close()
  end)

  local function count_in_luvs_loop()
    local _ <close> = uvjobs.attach(luv)
    local job = uvjobs.start(function()
      local jobs <close> = uvjobs.scheduler { close_timeout = 60 }
      local server = server_of(jobs)
      uvjobs.yield()
      local counts = count_during(function() uvjobs.sleep(WAIT) end)
      server:close()
      return counts
    end)
    luv.run()
    assert.equal("done", job.state)
    return job:wait()
  end

  it("sleeps in luv's loop", function() assert_few(count_in_luvs_loop) end)

  local function count_in_a_loop_of_poll()
    local fd, steps = uvjobs.fd(), 0
    local job = uvjobs.start(function()
      local jobs <close> = uvjobs.scheduler { close_timeout = 60 }
      local server = server_of(jobs)
      uvjobs.yield()
      steps = 0
      local counts = count_during(function() uvjobs.sleep(WAIT) end)
      counts.steps = steps
      server:close()
      return counts
    end)
    local controller = cqueues.new()
    controller:wrap(function()
      while not job.closed do
        cqueues.poll { pollfd = fd, events = "r", timeout = uvjobs.next_timeout() }
        steps = steps + 1
        uvjobs.step()
      end
    end)
    assert(controller:loop())
    controller:close()
    assert.equal("done", job.state)
    return job:wait()
  end

  it("sleeps in a loop of poll(2)", function() assert_few(count_in_a_loop_of_poll) end)
end)
