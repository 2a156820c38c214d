-- select: the first of several queues, events and jobs.

local helper = require "spec.helper"
local random = require "spec.random.helper"
local uvjobs = require "uvjobs"

local virtual, quiet = helper.virtual, helper.quiet

local SEEDS <const> = 40

-- Calls fn in a job of `s` after some seconds.
local function after(s, seconds, fn)
  return s:spawn(function()
    uvjobs.sleep(seconds)
    return fn()
  end)
end

describe("select", function()
  after_each(helper.check_clean)

  it("returns at once the first source in the list that is ready", function()
    virtual(function()
      local q, other, e = uvjobs.queue(), uvjobs.queue(), uvjobs.event()
      q:put(false)
      other:put "x"
      assert.same({ q, false, n = 2 }, table.pack(uvjobs.select { q, other }))
      e:set()
      assert.same({ other, "x", n = 2 }, table.pack(uvjobs.select { q, other, e }))
      assert.same({ e, true, n = 2 }, table.pack(uvjobs.select { q, other, e }))
      assert.is_true(e:is_set())
      local s <close> = uvjobs.scheduler()
      local job = s:spawn(error)
      job:result()
      assert.same({ job, true, n = 2 }, table.pack(uvjobs.select { q, job, e }))
      q:close()
      assert.same({ q, nil, "closed", n = 3 }, table.pack(uvjobs.select { q }))
      assert.equal(0, uvjobs.now())
    end)
  end)

  it("waits for a value, and takes no other", function()
    virtual(function()
      local s <close>, q, other = uvjobs.scheduler(), uvjobs.queue(), uvjobs.queue()
      after(s, 1, function()
        other:put "second"
        q:put "first"
        q:put "third"
      end)
      assert.same({ q, "first" }, { uvjobs.select { q, other } })
      assert.same({ 1, 1, 1 }, { uvjobs.now(), #q, #other })
    end)
  end)

  it("waits for an event, even if that is cleared at once", function()
    virtual(function()
      local s <close>, q, e = uvjobs.scheduler(), uvjobs.queue(), uvjobs.event()
      after(s, 1, function()
        e:set()
        e:clear()
      end)
      assert.same({ e, true }, { uvjobs.select { q, e } })
      assert.same({ nil, "timeout" }, { uvjobs.select { e, q, timeout = 1 } })
    end)
  end)

  it("does not forget an event that was set and cleared when a value of a queue is taken away",
    function()
      virtual(function()
        local q, e, s = uvjobs.queue(), uvjobs.event(), quiet()
        local job = s:spawn(function() return uvjobs.select { q, e, timeout = 1 } end)
        uvjobs.yield()
        e:set()
        q:put "x" -- wakes it once more
        e:clear()
        assert.equal("x", (q:try_get()))
        assert.same({ e, true }, { job:wait() })
        assert.equal(0, uvjobs.now())
        s:close()
      end)
    end)

  it("waits for the end of a job, and does not raise its error", function()
    virtual(function()
      local s <close>, e = quiet(), uvjobs.event()
      for _, fn in ipairs { function() end, function() error "x" end } do
        local job = s:spawn({ report = false }, function() uvjobs.sleep(1) fn() end)
        assert.same({ job, true }, { uvjobs.select { e, job } })
      end
      local job = after(s, 9, error)
      after(s, 1, function() job:cancel() end)
      assert.equal(job, (uvjobs.select { e, job }))
      assert.equal(3, uvjobs.now())
    end)
  end)

  it("wakes up when a queue is closed", function()
    virtual(function()
      local s <close>, q, e = uvjobs.scheduler(), uvjobs.queue(), uvjobs.event()
      after(s, 1, function() q:close() end)
      assert.same({ q, nil, "closed" }, { uvjobs.select { e, q } })
    end)
  end)

  it("serves a job that waits to put into a queue without capacity", function()
    virtual(function()
      local s <close>, q, e = uvjobs.scheduler(), uvjobs.queue(0), uvjobs.event()
      local putting = s:spawn(q.put, q, "early")
      uvjobs.yield()
      assert.same({ q, "early" }, { uvjobs.select { e, q } })
      assert.is_true(putting:wait())
      putting = after(s, 1, function() return q:put "late" end)
      assert.same({ q, "late" }, { uvjobs.select { e, q } })
      assert.is_true(putting:wait())
    end)
  end)

  it("goes on waiting when somebody else has taken what came", function()
    virtual(function()
      local s <close>, q, e = uvjobs.scheduler(), uvjobs.queue(), uvjobs.event()
      after(s, 1, function()
        q:put "x"
        assert.equal("x", q:try_get())
      end)
      after(s, 2, function() q:put "y" end)
      assert.same({ q, "y" }, { uvjobs.select { q, e } })
      assert.equal(2, uvjobs.now())
    end)
  end)

  it("lets each of several take one", function()
    virtual(function()
      local s <close>, a, b, got = uvjobs.scheduler(), uvjobs.queue(), uvjobs.queue(), {}
      for _ = 1, 3 do
        s:spawn(function() got[select(2, uvjobs.select { a, b })] = true end)
      end
      after(s, 1, function()
        a:put(1)
        b:put(2)
        a:put(3)
      end)
      s:wait_and_close()
      assert.same({ true, true, true }, got)
    end)
  end)

  it("returns nil and 'timeout' when the time is over, which runs from the call", function()
    virtual(function()
      local s <close>, q, e = uvjobs.scheduler(), uvjobs.queue(), uvjobs.event()
      for i = 1, 4 do
        after(s, i, function()
          q:put(i)
          q:try_get()
        end)
      end
      assert.same({ nil, "timeout" }, { uvjobs.select { q, e, timeout = 2.5 } })
      assert.equal(2.5, uvjobs.now())
      assert.same({ nil, "timeout" }, { uvjobs.select { q, timeout = 0 } })
      q:put "x"
      assert.same({ q, "x" }, { uvjobs.select { q, timeout = 0 } })
      q:put "y"
      assert.same({ q, "y" }, { uvjobs.select { q, timeout = math.huge } })
    end)
  end)

  it("takes a source twice, and does not mind a list that is changed meanwhile", function()
    virtual(function()
      local s <close>, q = uvjobs.scheduler(), uvjobs.queue()
      local sources = { q, q }
      after(s, 1, function()
        sources[1], sources[2] = nil, nil
        collectgarbage()
        q:put "x"
      end)
      assert.same({ q, "x" }, { uvjobs.select(sources) })
    end)
  end)

  it("takes nothing in a job that is cancelled, or whose deadline has passed #M6", function()
    virtual(function()
      local s <close>, q = quiet(), uvjobs.queue()
      q:put "x"
      local job = s:spawn(function()
        uvjobs.current():cancel()
        uvjobs.select { q }
      end)
      job:join()
      assert.same({ "cancelled", 1 }, { job.state, #q })
      q:get()
      job = s:spawn(uvjobs.select, { q })
      uvjobs.sleep(1)
      job:cancel()
      q:put "y"
      job:join()
      assert.same({ "cancelled", 1 }, { job.state, #q })
      q:get()
      local ok, err = pcall(uvjobs.timeout, 1, uvjobs.select, { q })
      assert.same({ false, "timeout" }, { ok, uvjobs.code(err) })
    end)
  end)

  it("leaves nothing when its job is killed", function()
    virtual(function()
      local s, q = quiet { close_timeout = 0 }, uvjobs.queue()
      s:spawn(function() while true do pcall(uvjobs.select, { q }) end end)
      uvjobs.sleep(1)
      s:close()
      q:put "x"
      assert.equal("x", q:try_get())
    end)
  end)

  it("says that it is stuck when nothing can come", function()
    local ok, err = pcall(uvjobs.run, { clock = "virtual" }, function()
      uvjobs.select { uvjobs.event(), uvjobs.queue() }
    end)
    assert.is_false(ok)
    assert.matches("in select", tostring(err), 1, true)
  end)

  it("refuses wrong arguments", function()
    virtual(function()
      local e = uvjobs.event()
      local function refused(sources, problem)
        assert.has_error(function() uvjobs.select(sources) end,
          ("bad argument #1 to 'select' (%s)"):format(problem))
      end
      refused(nil, "table expected, got nil")
      refused({}, "at least one source expected, got none")
      refused({ e, uvjobs.mutex() },
        "queue, channel, event or job expected as element 2, got uvjobs.Mutex")
      refused({ e, uvjobs.current() },
        "element 2 is the current job, which cannot wait for itself")
      refused({ e, tiemout = 1 }, "unknown option 'tiemout', did you mean 'timeout'?")
      refused({ e, timeout = -1 },
        "option 'timeout': seconds >= 0 or math.huge expected, got -1")
    end)
    assert.has_error(function() uvjobs.select { uvjobs.event() } end,
      "'select' must be called in a job: use uvjobs.run")
  end)

  it("loses and doubles no value among selectors, getters and putters #M6", function()
    for seed = 1, SEEDS do
      virtual(function()
        local pick = random.generator(seed)
        local queues = { uvjobs.queue(0), uvjobs.queue(1), uvjobs.queue() }
        local s, put, got, jobs = quiet { limit = math.huge, close_timeout = 1 }, {}, {}, {}
        local function take(value)
          assert.is_nil(got[value], "seed " .. seed)
          got[value] = true
        end
        local makers = {
          function(i)
            local value = { i }
            if queues[pick(3)]:put(value, pick(5)) then put[value] = true end
          end,
          function()
            local value = queues[pick(3)]:get(pick(5))
            if value then take(value) end
          end,
          function()
            local source, value = uvjobs.select {
              queues[pick(3)], queues[pick(3)], timeout = pick(5),
            }
            if source then take(value) end
          end,
          function()
            local job = jobs[pick(#jobs)]
            if pick(2) == 1 then job:cancel() else pcall(job.close, job, 0) end
          end,
        }
        for i = 1, 60 do
          jobs[i] = s:spawn(function()
            uvjobs.sleep(pick(8) / 2)
            makers[math.min(pick(5), 4)](i)
          end)
        end
        s:wait_and_close()
        for _, queue in ipairs(queues) do
          for value in function() return (queue:try_get()) end do take(value) end
        end
        for value in pairs(put) do assert.is_true(got[value], "seed " .. seed) end
        for value in pairs(got) do assert.is_true(put[value], "seed " .. seed) end
      end)
    end
  end)
end)
