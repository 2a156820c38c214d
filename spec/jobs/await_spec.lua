-- await: the bridge from callbacks to jobs.
local uvjobs = require "uvjobs"
local helper = require "spec.helper"

local virtual, raises, message = helper.virtual, helper.raises, helper.message

describe("await", function()
  after_each(helper.check_clean)

  -- Runs `fn` in a job of its own, after the current one has given way.
  local function later(jobs, fn, ...) return jobs:spawn(fn, ...) end

  it("returns what resume is called with, later", function()
    virtual(function()
      local jobs <close> = uvjobs.scheduler()
      local r = table.pack(uvjobs.await(function(resume)
        later(jobs, function()
          uvjobs.sleep(3)
          assert.same({ n = 0 }, table.pack(resume(nil, 2, nil)))
        end)
      end))
      assert.same({ n = 3, [2] = 2 }, r)
      assert.equal(3, uvjobs.now())
    end)
  end)

  it("returns what resume is called with at once, within start", function()
    virtual(function()
      for n = 0, 3 do
        local r = table.pack(uvjobs.await(function(resume)
          resume(table.unpack({ "a", nil, "c" }, 1, n))
          return function() error("abandoned") end
        end))
        assert.equal(n, r.n)
        assert.equal(n > 0 and "a" or nil, r[1])
      end
    end)
  end)

  it("ignores a second call of resume, early or late", function()
    virtual(function()
      local jobs <close> = uvjobs.scheduler()
      local kept
      assert.equal(1, uvjobs.await(function(resume)
        kept = resume
        resume(1)
        resume(2)
      end))
      kept(3)
      assert.equal(4, uvjobs.await(function(resume)
        later(jobs, function() resume(4) resume(5) end)
      end))
      uvjobs.sleep(1)
      kept(6)
      assert.equal(1, uvjobs.now())
    end)
  end)

  it("runs no code of the job inside resume #M1", function()
    virtual(function()
      local log = helper.log()
      local jobs <close> = uvjobs.scheduler()
      local resume
      jobs:spawn(function()
        uvjobs.await(function(r) resume = r end)
        log:add("resumed")
      end)
      uvjobs.yield()
      resume()
      assert.same({}, log)
      uvjobs.yield()
      assert.same({ "resumed" }, log)
    end)
  end)

  it("lets start suspend", function()
    virtual(function()
      assert.equal("late", uvjobs.await(function(resume)
        uvjobs.sleep(2)
        resume("late")
      end))
      assert.equal(2, uvjobs.now())
    end)
  end)

  it("raises the error of start #M12", function()
    virtual(function()
      local boom = {}
      local ok, err = pcall(uvjobs.await, function() error(boom) end)
      assert.is_false(ok)
      assert.equal(boom, err)
    end)
  end)

  -- Starts a job that awaits; returns it and the log of abandons.
  local function awaiting(jobs)
    local log = helper.log()
    local resume
    local job = jobs:spawn(function()
      return uvjobs.await(function(r)
        resume = r
        return function(...) log:add(select("#", ...)) end
      end)
    end)
    uvjobs.yield()
    return job, log, resume
  end

  it("abandons the operation when the job is cancelled #M6", function()
    virtual(function()
      local jobs <close> = uvjobs.scheduler()
      local job, log, resume = awaiting(jobs)
      job:cancel()
      raises("cancelled", job.wait, job)
      assert.same({ 0 }, log)
      resume("too late")
      uvjobs.yield()
      assert.same({ 0 }, log)
    end)
  end)

  it("abandons the operation when the deadline passes #M6", function()
    virtual(function()
      local log, late = helper.log(), nil
      raises("timeout", uvjobs.timeout, 2, uvjobs.await, function(resume)
        late = resume
        return function() log:add(uvjobs.now()) end
      end)
      assert.same({ 2 }, log)
      late()
      uvjobs.sleep(1)
      assert.equal(3, uvjobs.now())
    end)
  end)

  it("abandons the operation when the job is killed #M7", function()
    virtual(function()
      local log = helper.log()
      local jobs = helper.quiet { close_timeout = 1 }
      local job = jobs:spawn(uvjobs.protect, uvjobs.await, function()
        return function() log:add("abandoned") end
      end)
      uvjobs.yield()
      jobs:close()
      assert.equal("killed", job.state)
      assert.same({ "abandoned" }, log)
    end)
  end)

  it("does not abandon an operation that succeeded", function()
    virtual(function()
      local jobs <close> = uvjobs.scheduler()
      local job, log, resume = awaiting(jobs)
      resume("fine")
      job:cancel()
      assert.equal("fine", job:wait())
      assert.same({}, log)
    end)
  end)

  it("starts nothing in a job that is cancelled #M6", function()
    virtual(function()
      local log = helper.log()
      local jobs <close> = uvjobs.scheduler()
      local job = jobs:spawn(function()
        uvjobs.current():cancel()
        uvjobs.await(function() log:add("started") end)
      end)
      raises("cancelled", job.wait, job)
      assert.same({}, log)
    end)
  end)

  it("may be nested: each resume wakes its own await", function()
    virtual(function()
      local outer = uvjobs.await(function(resume)
        assert.equal("inner", uvjobs.await(function(r) r("inner") end))
        resume("outer")
      end)
      assert.equal("outer", outer)
    end)
  end)

  it("whose resume outlives the run does nothing any more", function()
    local resume
    virtual(function()
      local jobs = uvjobs.scheduler()
      jobs:spawn(uvjobs.await, function(r) resume = r end)
      uvjobs.yield()
    end)
    assert.same({ n = 0 }, table.pack(resume(1, 2)))
  end)

  it("that is never resumed is collectable when its job ended #M13", function()
    virtual(function()
      local weak = setmetatable({}, { __mode = "k" })
      local jobs = uvjobs.scheduler()
      do
        local job = jobs:spawn(uvjobs.await, function(resume) weak[resume] = true end)
        weak[job] = true
        uvjobs.yield()
        jobs:close()
      end
      collectgarbage()
      collectgarbage()
      assert.is_nil(next(weak))
    end)
  end)

  it("must be called in a job #M15", function()
    assert.equal("'await' must be called in a job: use uvjobs.run",
      message(uvjobs.await, function() end))
  end)
end)
