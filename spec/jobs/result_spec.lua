-- job:result(), and jobs whose errors are not reported.
local uvjobs = require "uvjobs"
local helper = require "spec.helper"

local virtual, raises, stubborn = helper.virtual, helper.raises, helper.stubborn
local recording = helper.recording

describe("job:result", function()
  after_each(helper.check_clean)

  it("gives true and all results, now and later, also outside a run", function()
    local job
    virtual(function()
      local jobs <close> = uvjobs.scheduler()
      job = jobs:spawn(function() uvjobs.sleep(1) return 1, nil, 3, nil end)
      assert.same({ true, 1, nil, 3, nil, n = 5 }, table.pack(job:result()))
      assert.equal(1, uvjobs.now())
    end)
    assert.same({ true, 1, nil, 3, nil, n = 5 }, table.pack(job:result()))
  end)

  -- A Lua with LUA_USE_APICHECK looks at each push.
  it("gives however many results there are", function()
    virtual(function()
      local jobs <close> = uvjobs.scheduler()
      for _, n in ipairs { 0, 1, 17, 18, 19, 20, 21, 39, 40, 41, 200, 1000 } do
        local got = table.pack(jobs:spawn(function() return table.unpack({}, 1, n) end):result())
        assert.equal(n + 1, got.n)
        assert.is_true(got[1])
      end
    end)
  end)

  it("gives false and the error, the same value, and nobody else hears of it #M12", function()
    virtual(function()
      local jobs, contexts = recording()
      local boom = {}
      local job = jobs:spawn(function() uvjobs.sleep(1) error(boom) end)
      for _ = 1, 2 do
        local ok, err = job:result()
        assert.is_false(ok)
        assert.equal(boom, err)
      end
      assert.same({ false, helper.NIL_ERROR, n = 2 }, table.pack(jobs:spawn(error):result()))
      assert.same({}, contexts)
      jobs:close()
    end)
  end)

  it("gives the error of a job that was cancelled or killed", function()
    virtual(function()
      local jobs, contexts = recording { close_timeout = 1 }
      local others <close> = uvjobs.scheduler()
      for _, case in ipairs { { "cancelled", uvjobs.sleep, 99 }, { "killed", stubborn } } do
        local job = jobs:spawn(table.unpack(case, 2))
        local asker = others:spawn(job.result, job)
        uvjobs.yield()
        pcall(job.close, job)
        local ok, err = asker:wait()
        assert.is_false(ok)
        assert.equal(case[1], uvjobs.code(err))
        assert.equal(job, err.job)
      end
      assert.same({}, contexts)
      jobs:close()
    end)
  end)

  it("after its time gives nil and 'timeout', and the job goes on", function()
    virtual(function()
      local jobs <close> = uvjobs.scheduler()
      local job = jobs:spawn(function() uvjobs.sleep(5) return "late" end)
      assert.same({ nil, "timeout", n = 2 }, table.pack(job:result(2)))
      assert.same({ nil, "timeout", n = 2 }, table.pack(job:result(0)))
      assert.equal("active", job.state)
      assert.same({ true, "late" }, { job:result(10) })
      assert.equal(5, uvjobs.now())
    end)
  end)

  it("of a caller that was cancelled raises, leaves the job alone, and loses no error", function()
    virtual(function()
      local jobs, contexts = recording()
      local others <close> = uvjobs.scheduler()
      local job = jobs:spawn(function() uvjobs.sleep(1) error("oh no", 0) end)
      local asker = others:spawn(job.result, job)
      uvjobs.yield()
      asker:cancel()
      raises("cancelled", asker.wait, asker)
      assert.equal("active", job.state)
      job:join()
      assert.equal("oh no", contexts[1].exception)
      jobs:close()
    end)
  end)

  it("of the job itself is an error, and so is a wait outside of jobs", function()
    virtual(function()
      local jobs <close> = uvjobs.scheduler()
      local job
      job = jobs:spawn(function() return helper.message(job.result, job) end)
      assert.equal("a job cannot wait for itself", job:wait())
      assert.equal("bad argument #1 to 'result' (seconds must be >= 0, got -1)",
        helper.message(job.result, job, -1))
      local late = jobs:spawn(uvjobs.sleep, 1)
      local co = coroutine.wrap(function() return helper.message(late.result, late) end)
      assert.matches("'result' must be called in a job", co())
    end)
  end)
end)

describe("a job with report = false", function()
  after_each(helper.check_clean)

  it("is not reported when it fails or is killed", function()
    virtual(function()
      local jobs, contexts = recording { close_timeout = 1 }
      local job = jobs:spawn({ report = false }, error, "mine", 0)
      local killed = jobs:spawn({ report = false, name = "k" }, stubborn)
      uvjobs.sleep(1)
      assert.same({ false, "mine" }, { job:result() })
      assert.equal("mine", helper.message(job.wait, job))
      jobs:close()
      assert.equal("killed", killed.state)
      assert.same({}, contexts)
    end)
  end)

  it("does not close a nursery: whoever asks for its error decides", function()
    virtual(function()
      local jobs = helper.quiet { on_error = "cancel" }
      local job = jobs:try_spawn({ report = false }, error, "mine", 0)
      local other = jobs:spawn(uvjobs.sleep, 1)
      assert.is_true(jobs:wait_and_close())
      assert.equal("done", other.state)
      assert.same({ false, "mine" }, { job:result() })
    end)
  end)

  it("is reported as always with report = true", function()
    virtual(function()
      local jobs, contexts = recording()
      jobs:spawn({ report = true }, error, "heard", 0)
      jobs:wait_and_close()
      assert.equal("heard", contexts[1].exception)
    end)
  end)
end)
