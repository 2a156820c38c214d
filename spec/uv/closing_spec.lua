-- Closing handles, and other rare cases of uvjobs.uv.
local luv = require "luv"
local uvjobs = require "uvjobs"
local uv = require "uvjobs.uv"
local helper = require "spec.helper"
local world = require "spec.uv.helper"

-- Two ends of a connection.
local function pair()
  local a, b, fds = uv.new_tcp(), uv.new_tcp(), uv.socketpair("stream", 0)
  a:open(fds[1])
  b:open(fds[2])
  return a, b
end

describe("a directory", function()
  after_each(world.check_clean)

  it("that a thread reads for a job that has left is closed when that is over", function()
    for _ = 1, 20 do
      uvjobs.run(function()
        local dir = assert(uv.fs_opendir("/usr/lib", nil, 1000))
        local jobs = uvjobs.scheduler()
        local job = jobs:spawn(function()
          local _ <close> = helper.closing(function() assert.is_truthy(uv.fs_closedir(dir)) end)
          while uv.fs_readdir(dir) do end
        end)
        uvjobs.yield()
        job:cancel()
        jobs:wait_and_close()
      end)
      world.drain()
    end
  end)
end)

describe("a write", function()
  after_each(world.check_clean)

  it("is refused before it is begun, also when it is time to give way #M6", function()
    uvjobs.run(function()
      local a <close>, b = pair()
      local _ <close> = b
      local written = 0
      local job = uvjobs.scheduler():spawn(function()
        uvjobs.current():cancel()
        uvjobs.protect(function()
          for _ = 1, 200 do
            assert(a:write("x"))
            written = written + 1
          end
        end)
        a:write("y")
      end)
      job:join()
      assert.equal("cancelled", job.state)
      assert.equal(200, written)
      local arrived = 0
      while arrived < written do arrived = arrived + #b:read_some() end
      assert.equal(200, arrived)
      assert.same({ nil, "timeout" }, { b:read_some(0.01) })
    end)
  end)
end)

describe("closing a handle", function()
  after_each(world.check_clean)

  it("with what is no function changes nothing", function()
    uvjobs.run(function()
      local a <close>, b = pair()
      local _ <close> = b
      assert.equal("bad argument #1 to 'close' (function expected, got table)",
        helper.message(function() a:close({}) end))
      assert.is_false(a:is_closing())
      assert(b:write("x"))
      assert.equal("x", a:read_some())
    end)
  end)

  it("that is closed with a callback again raises, and close() still answers", function()
    uvjobs.run(function()
      local a, b = pair()
      local _ <close> = b
      a:close()
      assert.equal("the handle is closed already",
        helper.message(function() a:close(function() end) end))
      a:close()
    end)
  end)

  it("works after a reset that was refused", function()
    uvjobs.run(function()
      local tcp = uv.new_tcp()
      assert.is_nil(tcp:close_reset())
      assert.is_false(tcp:is_closing())
      tcp:close()
      assert.is_true(tcp:is_closing())
    end)
  end)

  it("ends next() of a server that could not listen with a clear error", function()
    uvjobs.run(function()
      local server <close> = uv.new_tcp()
      local second <close> = uv.new_tcp()
      server:bind("127.0.0.1", 0)
      server:listen(1)
      second:bind("127.0.0.1", server:getsockname().port)
      assert.is_nil(second:listen(1))
      assert.matches("needs a server that listens", helper.message(function()
        second:next(0)
      end))
    end)
  end)
end)

describe("uv.run", function()
  it("is refused in a job", function()
    uvjobs.run(function()
      assert.equal("'run' cannot be called in a job", helper.message(function() uv.run() end))
    end)
    assert.is_false(uv.run("nowait"))
    assert.is_false(luv.loop_alive())
  end)
end)
