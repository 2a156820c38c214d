-- Channels between threads: functions of uvjobs.work that have a loop of their own. These
-- functions have no upvalues.

local helper = require "spec.helper"
local uvjobs = require "uvjobs"

local in_run = helper.in_run

--- Sends back what comes, twice as large, until there is nothing more.
local function double(from, to)
  local here = require "uvjobs"
  return here.run(function()
    local n = 0
    for value in from:items() do
      n = n + 1
      to:put(value * 2)
    end
    return n
  end)
end

--- Puts the numbers from 1 to n.
local function put_all(to, n)
  local here = require "uvjobs"
  here.run(function() for i = 1, n do to:put(i) end end)
end

--- Adds up what it gets.
local function add_all(from)
  local here = require "uvjobs"
  return here.run(function()
    local sum, count, last, sorted = 0, 0, 0, true
    for value in from:items() do
      sum, count = sum + value, count + 1
      sorted, last = sorted and value > last, value
    end
    return sum, count, sorted
  end)
end

describe("a channel between threads", function()
  after_each(helper.check_clean)

  it("carries values to and fro #W7", in_run(function()
    local there, back, s = uvjobs.channel(1), uvjobs.channel(1), uvjobs.scheduler()
    local job = s:spawn(uvjobs.work, double, there, back)
    for i = 1, 500 do
      there:put(i)
      assert.equal(2 * i, back:get())
    end
    there:close()
    assert.equal(500, job:wait())
  end))

  it("gives each value to one of those who get, in order for each #W7", in_run(function()
    for _, capacity in ipairs { 0, 1, 100 } do
      local channel, s = uvjobs.channel(capacity), uvjobs.scheduler()
      local getters = {}
      getters[1] = s:spawn(uvjobs.work, add_all, channel)
      getters[2] = s:spawn(uvjobs.work, add_all, channel)
      local n <const> = 2000
      for i = 1, n do channel:put(i) end
      channel:close()
      local sum, count = 0, 0
      for _, getter in ipairs(getters) do
        local one_sum, one_count, sorted = getter:wait()
        assert.is_true(sorted)
        sum, count = sum + one_sum, count + one_count
      end
      assert.same({ n * (n + 1) // 2, n }, { sum, count })
    end
  end))

  it("never holds more than its capacity #W9", in_run(function()
    local channel, s = uvjobs.channel(3), uvjobs.scheduler()
    local putter = s:spawn(uvjobs.work, put_all, channel, 1000)
    local sum = 0
    for _ = 1, 1000 do
      assert.is_true(#channel <= 3)
      sum = sum + channel:get()
    end
    assert.equal(500500, sum)
    putter:wait()
  end))

  it("is the same channel in each state, also when it comes by another", in_run(function()
    local channel, answer = uvjobs.channel(), uvjobs.channel()
    channel:put { reply = answer }
    local id, same, returned = uvjobs.work(function(one, other)
      local request = one:try_get()
      request.reply:try_put { one, request.reply }
      return request.reply.id, request.reply == other, one
    end, channel, answer)
    assert.same({ answer.id, true }, { id, same })
    assert.is_true(rawequal(channel, returned))
    assert.same({ channel, answer }, answer:get())
  end))

  it("can be used without a loop where nothing waits", in_run(function()
    local channel = uvjobs.channel(1)
    local put, full, message = uvjobs.work(function(c)
      local put = c:try_put { 1 }
      local _, full = c:try_put(2)
      local _, message = pcall(c.put, c, 3)
      return put, full, message
    end, channel)
    assert.same({ true, "full" }, { put, full })
    assert.matches("'put' must be called in a job", message)
    assert.same({ 1 }, channel:get())
  end))

  it("carries blobs, of which each thread sees the same bytes #W10", in_run(function()
    local blob = uvjobs.blob(("0123456789"):rep(1000))
    local size, part, back = uvjobs.work(function(b, slice)
      return #b, slice:string(), slice:slice(2)
    end, blob, blob:slice(11, 13))
    assert.same({ 10000, "012", "12" }, { size, part, back:string() })
  end))

  it("wakes jobs of other threads when it is closed", in_run(function()
    local channel, ready, s = uvjobs.channel(), uvjobs.channel(), uvjobs.scheduler()
    local job = s:spawn(uvjobs.work, function(c, r)
      local here = require "uvjobs"
      return here.run(function()
        r:put(true)
        local _, why = c:get()
        return why
      end)
    end, channel, ready)
    ready:get()
    channel:close()
    assert.equal("closed", job:wait())
  end))

  it("loses nothing when getters in two threads are cancelled again and again #W7 #W8",
    in_run(function()
      local channel, s = uvjobs.channel(2), uvjobs.scheduler()
      local n <const> = 3000
      local putter = s:spawn(uvjobs.work, put_all, channel, n)
      -- Gets with a job that is cancelled at random moments.
      local function get_some(from, total, seen)
        local here = require "uvjobs"
        return here.run(function()
          local sum, count = 0, 0
          local inner <close> = here.scheduler { exception_handler = function() end }
          while not from.closed do
            local job = inner:spawn(function()
              while true do
                local value, why = from:get(0.01)
                if why == "closed" then return end
                if value then
                  sum, count = sum + value, count + 1
                  seen:try_put(1) -- does not raise when the job is cancelled
                end
              end
            end)
            for _ = 1, 1 + count % 3 do here.yield() end
            pcall(job.close, job, count % 2 == 0 and 0 or nil) -- a kill is told
          end
          return sum, count, total
        end)
      end
      local seen = uvjobs.channel()
      local others = s:spawn(uvjobs.work, get_some, channel, n, seen)
      local more = s:spawn(uvjobs.work, get_some, channel, n, seen)
      for _ = 1, n do seen:get() end
      channel:close()
      putter:wait()
      local sum, count = others:wait()
      local sum2, count2 = more:wait()
      assert.same({ n, n * (n + 1) // 2 }, { count + count2, sum + sum2 })
    end))

  it("is not found stuck while another thread has it", in_run(function()
    local channel, s = uvjobs.channel(), uvjobs.scheduler()
    s:spawn(uvjobs.work, function(c)
      local here = require "uvjobs"
      here.run(function()
        here.sleep(0.05)
        c:put "late"
      end)
    end, channel)
    assert.equal("late", channel:get())
  end))

  it("is found stuck when the function has ended that had it #W13", function()
    for _, clock in ipairs { "real", "virtual" } do
      local ok, err = pcall(uvjobs.run, { clock = clock }, function()
        local channel = uvjobs.channel()
        uvjobs.work(function(c)
          require "uvjobs".run(function() c:put { c } c:get() end)
        end, channel)
        channel:get()
      end)
      assert.is_false(ok)
      assert.matches("run is stuck", err)
    end
  end)

  it("is waited for under the virtual clock, too", function()
    helper.virtual(function()
      local channel, s = uvjobs.channel(), uvjobs.scheduler()
      s:spawn(uvjobs.work, function(c)
        local here = require "uvjobs"
        here.run(function() here.sleep(0.01) c:put "real time" end)
      end, channel)
      assert.equal("real time", channel:get())
      assert.equal(0, uvjobs.now())
    end)
  end)

  it("leaves nothing behind when a function is stopped that waits", in_run(function()
    local channel, ready = uvjobs.channel(), uvjobs.channel()
    for _ = 1, 5 do
      local s = helper.quiet()
      local job = s:spawn(uvjobs.work, function(c, r)
        local here = require "uvjobs"
        here.run(function()
          r:put(true)
          c:get()
        end)
      end, channel, ready)
      ready:get()
      job:close()
      s:close()
    end
    -- The functions end in their own time, and then stand in no line any more.
    local got
    while not got do
      channel:try_put "for me"
      uvjobs.sleep(0.001)
      got = channel:try_get()
    end
    assert.equal("for me", got)
  end))
end)
