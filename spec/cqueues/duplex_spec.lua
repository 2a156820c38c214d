-- One socket of cqueues in several jobs: what one does with it does not make another deaf.
local sockets = require "spec.cqueues.helper"
local web = require "spec.http.helper"
local helper = require "spec.helper"
local uvjobs = require "uvjobs"
local cqueues = require "uvjobs.cqueues"

-- Fills the socket's way out, and returns how many bytes that took.
local function fill_up(socket)
  local bytes, piece = 0, ("x"):rep(4096)
  local sent, problem
  repeat
    sent, problem = socket:send(piece, 1, #piece)
    bytes = bytes + sent
  until problem
  return bytes
end

describe("a socket in several jobs", function()
  after_each(web.check_clean)

  it("is read by one job while another writes to it in the same turn", function()
    uvjobs.run(function()
      local left, right, _ <close> = sockets.pair()
      local jobs <close> = uvjobs.scheduler()
      local reader = jobs:spawn(function() return left:xread(5) end)
      jobs:spawn(function() assert(left:xwrite("there", "bn")) end)
      assert.equal("there", right:xread(5))
      assert(right:xwrite("back!", "bn"))
      assert.equal("back!", uvjobs.timeout(60, reader.wait, reader))
    end)
  end)

  it("is read in turn, and each read waits for its own bytes", function()
    uvjobs.run(function()
      local left, right, _ <close> = sockets.pair()
      local jobs <close> = uvjobs.scheduler()
      local log = helper.log()
      for round = 1, 50 do
        local reader = jobs:spawn(function() log:add(assert(left:xread(2))) end)
        local writer = jobs:spawn(function()
          assert(left:xwrite(("%02d"):format(round), "bn"))
        end)
        local echo = jobs:spawn(function()
          assert(right:xwrite(assert(right:xread(2)), "bn"))
        end)
        uvjobs.timeout(60, function()
          for _, job in ipairs { reader, writer, echo } do job:wait() end
        end)
        assert.equal(("%02d"):format(round), log[round])
      end
    end)
  end)

  it("is written to by one job while another reads from it in the same turn", function()
    uvjobs.run(function()
      local left, right, _ <close> = sockets.pair()
      local bytes = fill_up(left)
      local jobs <close> = uvjobs.scheduler()
      local writer = jobs:spawn(function() assert(left:xwrite("last", "bn")) end)
      local reader = jobs:spawn(function() return left:xread(4) end)
      uvjobs.yield()
      uvjobs.timeout(60, function()
        assert.equal(bytes + 4, #right:xread(bytes + 4))
        writer:wait()
        assert(right:xwrite("read", "bn"))
        assert.equal("read", reader:wait())
      end)
    end)
  end)

  it("comes back from poll() as itself", function()
    uvjobs.run(function()
      local left, right, _ <close> = sockets.pair()
      local jobs <close> = uvjobs.scheduler()
      local poller = jobs:spawn(function()
        assert.is_nil((left:recv(1))) -- there is nothing: the next poll is for reading
        return cqueues.poll(left, 60)
      end)
      jobs:spawn(function() assert(left:xwrite("there", "bn")) end)
      assert.equal("there", right:xread(5))
      assert(right:xwrite("back!", "bn"))
      assert.equal(left, uvjobs.timeout(60, poller.wait, poller))
    end)
  end)

  it("that is closed in the same turn ends the poll with an error", function()
    uvjobs.run(function()
      local left, right, _ <close> = sockets.pair()
      local jobs <close> = uvjobs.scheduler { exception_handler = function() end }
      local reader = jobs:spawn(function() return left:xread(5) end)
      jobs:spawn(function()
        left:xwrite("there", "bn")
        left:close()
      end)
      assert.equal("there", right:xread(5))
      local ok, err = pcall(uvjobs.timeout, 60, reader.wait, reader)
      assert.is_false(ok)
      assert.matches("cannot poll CQS Socket: socket closed", tostring(err), 1, true)
      assert.equal(0.01, cqueues.poll(0.01)) -- and cqueues goes on
    end)
  end)

  it("keeps its own time limit", function()
    uvjobs.run(function()
      local left, right, _ <close> = sockets.pair()
      left:settimeout(0.01)
      left:onerror(function(_, _, why) return why end)
      local jobs <close> = uvjobs.scheduler()
      local reader = jobs:spawn(function() return left:xread(5) end)
      jobs:spawn(function() assert(left:xwrite("there", "bn")) end)
      assert.is_nil((uvjobs.timeout(60, reader.wait, reader)))
      assert.equal("there", right:xread(5))
    end)
  end)

  it("hears a job that was cancelled no more, and the next one does", function()
    uvjobs.run(function()
      local left, right, _ <close> = sockets.pair()
      local jobs <close> = uvjobs.scheduler()
      local first = jobs:spawn(function() return left:xread(5) end)
      jobs:spawn(function() assert(left:xwrite("there", "bn")) end)
      assert.equal("there", right:xread(5))
      first:cancel()
      first:join()
      assert.equal("cancelled", first.state)
      local second = jobs:spawn(function() return left:xread(5) end)
      assert(right:xwrite("back!", "bn"))
      assert.equal("back!", uvjobs.timeout(60, second.wait, second))
    end)
  end)
end)
