-- Callbacks that jobs give to luv: when one raises, its job has failed.
local uvjobs = require "uvjobs"
local uv = require "uvjobs.uv"
local helper = require "spec.helper"
local world = require "spec.uv.helper"

-- By name: what calls `callback` soon. The handles that it makes go into `open`.
local givers = {
  ["fs_stat"] = function(_, callback) uv.fs_stat("/", callback) end,
  ["fs_read in the place of the offset"] = function(open, callback)
    local fd = assert(uv.fs_open("/dev/null", "r", 0))
    open[#open + 1] = { close = function() uv.fs_close(fd) end }
    uv.fs_read(fd, 1, callback)
  end,
  ["getaddrinfo"] = function(_, callback)
    uv.getaddrinfo("127.0.0.1", nil, { numerichost = true }, callback)
  end,
  ["random"] = function(_, callback) uv.random(1, 0, callback) end,
  ["timer:start"] = function(open, callback)
    open[1] = uv.new_timer()
    open[1]:start(1, 0, callback)
  end,
  ["idle:start"] = function(open, callback)
    open[1] = uv.new_idle()
    open[1]:start(callback)
  end,
  ["new_async"] = function(open, callback)
    open[1] = uv.new_async(callback)
    open[1]:send()
  end,
  ["handle:close"] = function(_, callback) uv.new_timer():close(callback) end,
  ["uv.close"] = function(_, callback) uv.close(uv.new_timer(), callback) end,
  ["tcp:connect"] = function(open, callback)
    open[1] = uv.new_tcp()
    open[1]:connect("127.0.0.1", 1, callback)
  end,
  ["stream:read_start"] = function(open, callback)
    open[1], open[2] = world.pipe_pair()
    open[1]:read_start(callback)
    open[2]:write("x")
  end,
  ["stream:write"] = function(open, callback)
    open[1], open[2] = world.pipe_pair()
    open[1]:write("x", callback)
  end,
  ["stream:shutdown"] = function(open, callback)
    open[1], open[2] = world.pipe_pair()
    open[1]:shutdown(callback)
  end,
  ["server:listen"] = function(open, callback)
    open[1], open[2] = uv.new_tcp(), uv.new_tcp()
    open[1]:bind("127.0.0.1", 0)
    open[1]:listen(1, callback)
    open[2]:connect("127.0.0.1", open[1]:getsockname().port, function() end)
  end,
  ["udp:send"] = function(open, callback)
    open[1] = uv.new_udp()
    open[1]:send("x", "127.0.0.1", 9, callback)
  end,
  ["udp:recv_start"] = function(open, callback)
    open[1] = uv.new_udp()
    open[1]:bind("127.0.0.1", 0)
    open[1]:recv_start(callback)
    open[1]:send("x", "127.0.0.1", open[1]:getsockname().port)
  end,
  ["spawn"] = function(open, callback) open[1] = uv.spawn("true", {}, callback) end,
  ["new_work"] = function(_, callback)
    uv.queue_work(uv.new_work(function() return 1 end, callback))
  end,
}

local function close_all(open)
  for _, handle in ipairs(open) do handle:close() end
end

describe("a callback that raises", function()
  after_each(world.check_clean_threads)

  for name, give in pairs(givers) do
    it("fails the job that gave it to " .. name .. " #M12", function()
      local problem = { "an error of its own" }
      local open = {}
      uvjobs.run(function()
        local jobs <close> = helper.quiet()
        local job = jobs:spawn(function()
          give(open, function() error(problem) end)
          uvjobs.event():wait()
        end)
        assert(job:join())
        assert.equal("failed", job.state)
        local ok, err = pcall(job.wait, job)
        assert.is_false(ok)
        assert.equal(problem, err)
        assert.matches("uv/callbacks_spec.lua", job:traceback(), 1, true)
        close_all(open)
      end)
      world.forget_requests("random")
    end)
  end

  it("ends its job as failed, with its clean-up; the others go on #M7", function()
    uvjobs.run(function()
      local log = helper.log()
      local jobs <close> = helper.quiet()
      local other = jobs:spawn(function()
        uvjobs.sleep(0.02)
        return "went on"
      end)
      local job = jobs:spawn(function()
        local _ <close> = helper.closing(function() log:add("cleaned up") end)
        uv.fs_stat("/", function() error("first", 0) end)
        log:add(select(2, pcall(uvjobs.sleep, 60)) and "woken")
        uvjobs.yield()
      end)
      job:join()
      assert.same({ "woken", "cleaned up" }, log)
      assert.equal("first", (select(2, pcall(job.wait, job))))
      assert.equal("went on", other:wait())
    end)
  end)

  it("goes to the exception handler when its job has ended", function()
    local problem, seen = {}, nil
    local job
    uvjobs.run(function()
      local jobs <close> = uvjobs.scheduler {
        exception_handler = function(_, context) seen = context end,
      }
      local late
      job = jobs:spawn(function()
        local timer = uv.new_timer()
        timer:start(5, 0, function()
          timer:close()
          error(problem)
        end)
        late = true
      end)
      job:wait()
      assert.is_true(late)
      world.wait_until(function() return seen end)
    end)
    assert.equal("Callback failed", seen.message)
    assert.equal(problem, seen.exception)
    assert.equal(job, seen.job)
    assert.equal("done", job.state)
    assert.matches("uv/callbacks_spec.lua", seen.traceback, 1, true)
  end)

  it("of the main job comes out of run", function()
    local problem = {}
    local ok, err = pcall(uvjobs.run, function()
      uv.fs_stat("/", function() error(problem) end)
      uvjobs.sleep(60)
    end)
    assert.is_false(ok)
    assert.equal(problem, err)
  end)

  it("and was given outside jobs ends the process, as luv does it", function()
    local r = helper.child [[
      local uv = require "uvjobs.uv"
      uv.fs_stat("/", function() error("nobody's") end)
      uv.run()
    ]]
    assert.not_equal(0, r.status)
    assert.matches("nobody's", r.err, 1, true)
  end)
end)
