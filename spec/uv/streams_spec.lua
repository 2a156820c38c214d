-- Streams and servers as calls: TCP and pipes on this machine.
local luv = require "luv"
local uvjobs = require "uvjobs"
local uv = require "uvjobs.uv"
local helper = require "spec.helper"
local world = require "spec.uv.helper"

local in_run = helper.in_run

-- More than the buffers of two sockets take.
local HUGE <const> = 16 * 1024 * 1024

local pairs_of = { TCP = world.tcp_pair, ["a pipe"] = world.pipe_pair }

for kind, pair in pairs(pairs_of) do
  describe(kind, function()
    after_each(world.check_clean)

    it("gives the bytes that have come, and nil at the end", in_run(function()
      local left, right = pair()
      assert.is_true(left:write("hello"))
      assert.equal("hello", right:read_some())
      assert.is_true(left:shutdown())
      assert.same({ n = 1 }, table.pack(right:read_some()))
      assert.same({ n = 1 }, table.pack(right:read_some()))
      left:close()
      right:close()
    end))

    it("suspends the one who reads, and not the others", in_run(function()
      local left, right = pair()
      local jobs <close> = uvjobs.scheduler()
      local reader = jobs:spawn(right.read_some, right)
      world.settle(reader)
      assert.equal("active", reader.state)
      assert.is_true(left:write("x"))
      assert.equal("x", reader:wait())
      left:close()
      right:close()
    end))

    it("returns nil and timeout, and loses nothing by it #M6", in_run(function()
      local left, right = pair()
      assert.same({ n = 2, nil, "timeout" }, table.pack(right:read_some(0)))
      assert.same({ n = 2, nil, "timeout" }, table.pack(right:read_some(0.01)))
      left:write("late")
      assert.equal("late", right:read_some(30))
      left:close()
      right:close()
    end))

    it("chunks() gives all until the end", in_run(function()
      local left, right = pair()
      local jobs <close> = uvjobs.scheduler()
      jobs:spawn(function()
        for i = 1, 200 do left:write(i .. " ") end
        left:close()
      end)
      local got = {}
      for chunk in right:chunks() do got[#got + 1] = chunk end
      local expected = {}
      for i = 1, 200 do expected[i] = i .. " " end
      assert.equal(table.concat(expected), table.concat(got))
      right:close()
    end))

    it("writes lists of strings, and empty ones", in_run(function()
      local left, right = pair()
      assert.is_true(left:write { "a", "", "bc" })
      assert.is_true(left:write("d"))
      assert.is_true(left:write(""))
      left:shutdown()
      local got = {}
      for chunk in right:chunks() do got[#got + 1] = chunk end
      assert.equal("abcd", table.concat(got))
      left:close()
      right:close()
    end))

    it("writes more than the buffers take, in order, also in lists", in_run(function()
      local left, right = pair()
      local jobs <close> = uvjobs.scheduler()
      local size = HUGE / 2
      local writer = jobs:spawn(function()
        assert(left:write(("a"):rep(size)))
        assert(left:write { ("b"):rep(size), "c" })
        left:close()
      end)
      world.settle(writer)
      assert.equal("active", writer.state)
      local total, last, falls = 0, "a", 0
      for chunk in right:chunks() do
        total = total + #chunk
        if chunk:find "^a*b*c?$" == nil or chunk:sub(1, 1) < last then falls = falls + 1 end
        last = chunk:sub(-1)
      end
      assert.same({ 2 * size + 1, "c", 0 }, { total, last, falls })
      assert.equal("done", writer.state)
      right:close()
    end))

    it("keeps what several jobs write in pieces whole", in_run(function()
      local left, right = pair()
      local jobs <close> = uvjobs.scheduler()
      for i = 1, 4 do
        jobs:spawn(function() assert(left:write(tostring(i):rep(HUGE / 8))) end)
      end
      local runs, last, total = 0, nil, 0
      while total < HUGE / 2 do
        local chunk = assert(right:read_some())
        total = total + #chunk
        for digit in chunk:gsub("(.)%1+", "%1"):gmatch "." do
          if digit ~= last then runs = runs + 1 end
          last = digit
        end
      end
      assert.same({ 4, HUGE / 2 }, { runs, total })
      left:close()
      right:close()
    end))

    it("holds a sender back while nobody reads, and keeps little", in_run(function()
      local left, right = pair()
      local jobs <close> = uvjobs.scheduler()
      local piece, sent = ("x"):rep(65536), 0
      local sender = jobs:spawn(function()
        while true do
          assert(left:write(piece))
          sent = sent + #piece
        end
      end)
      assert.equal(1, #right:read_some():sub(1, 1)) -- it reads on for one piece
      local before
      repeat
        before = sent
        world.settle(sender)
        uvjobs.sleep(0.01)
      until sent == before or sent > HUGE
      assert.is_true(sent < HUGE)
      collectgarbage()
      local memory = collectgarbage "count"
      uvjobs.sleep(0.02)
      collectgarbage()
      assert.equal(before, sent)
      assert.is_true(collectgarbage "count" < memory + 128)
      assert.is_true(#right:read_some() <= 65536)
      world.wait_until(function() -- who reads, lets it go on
        assert(right:read_some())
        return sent > before
      end)
      sender:close()
      right:close()
    end))

    it("with several readers, gives each piece to one of them, in turn", in_run(function()
      local left, right = pair()
      local jobs <close> = uvjobs.scheduler()
      local readers = {}
      for i = 1, 3 do
        readers[i] = jobs:spawn(right.read_some, right)
        world.settle(readers[i])
      end
      for i = 1, 3 do
        left:write(tostring(i))
        assert.equal(tostring(i), readers[i]:wait())
      end
      left:close()
      right:close()
    end))

    it("that is closed wakes the ones who read", in_run(function()
      local left, right = pair()
      local jobs <close> = uvjobs.scheduler()
      local reader = jobs:spawn(right.read_some, right)
      local other = jobs:spawn(right.read_some, right)
      world.settle(other)
      right:close()
      assert.is_nil((reader:wait()))
      assert.is_nil((other:wait()))
      assert.is_nil((right:read_some()))
      left:close()
    end))

    it("that is closed ends the write that waits, with an error", in_run(function()
      local left, right = pair()
      local jobs <close> = uvjobs.scheduler()
      local writer = jobs:spawn(left.write, left, ("x"):rep(HUGE))
      world.settle(writer)
      left:close()
      assert.equal("ECANCELED", (select(3, writer:wait())))
      assert.equal("EBADF", (select(3, left:write("x"))))
      right:close()
    end))

    it("whose other side is gone fails to write, and the process lives", in_run(function()
      local left, right = pair()
      right:close()
      local code
      repeat code = select(3, left:write("x")) until code
      assert.is_true(code == "EPIPE" or code == "ECONNRESET", code)
      left:close()
    end))

    it("is closed at the end of its block, and may be closed twice", in_run(function()
      local left, right = pair()
      do local _ <close> = left end
      assert.is_true(left:is_closing())
      assert.is_nil(right:read_some())
      right:close()
      right:close()
      do local _ <close> = right end
    end))

    it("that is closed twice at once lets both wait until it is", in_run(function()
      local left, right = pair()
      local jobs <close> = uvjobs.scheduler()
      local first, second = jobs:spawn(left.close, left), jobs:spawn(left.close, left)
      assert.is_true(first:join() and second:join())
      assert.same({ "done", "done" }, { first.state, second.state })
      right:close()
    end))
  end)
end

describe("a server", function()
  after_each(world.check_clean)

  it("gives its clients one by one, and nil when it is closed", in_run(function()
    local server, port = world.server()
    local jobs <close> = uvjobs.scheduler()
    local served = {}
    local accepting = jobs:spawn(function()
      for client in server:connections() do
        local _ <close> = client
        served[#served + 1] = client:read_some()
      end
      return "over"
    end)
    for i = 1, 3 do
      local client <close> = uv.new_tcp()
      assert.is_true(client:connect("127.0.0.1", port))
      client:write(tostring(i))
      assert.is_nil(client:read_some())
    end
    server:close()
    assert.equal("over", accepting:wait())
    assert.same({ "1", "2", "3" }, served)
  end))

  it("returns nil and timeout while nobody comes", in_run(function()
    local server, port = world.server()
    assert.same({ n = 2, nil, "timeout" }, table.pack(server:next(0.01)))
    local client <close> = uv.new_tcp()
    client:connect("127.0.0.1", port)
    local accepted <close> = assert(server:next(30))
    assert.equal(client:getsockname().port, accepted:getpeername().port)
    server:close()
  end))

  it("with several jobs that wait, gives each client to one of them", in_run(function()
    local server, port = world.server()
    local jobs <close> = uvjobs.scheduler()
    local seen, clients = {}, {}
    local acceptors = {}
    for i = 1, 4 do
      acceptors[i] = jobs:spawn(function()
        for client in server:connections() do
          seen[#seen + 1] = client:getpeername().port
          client:close()
        end
      end)
    end
    for i = 1, 12 do
      clients[i] = uv.new_tcp()
      assert(clients[i]:connect("127.0.0.1", port))
    end
    world.wait_until(function() return #seen == 12 end)
    local ports = {}
    for i, client in ipairs(clients) do
      ports[i] = client:getsockname().port
      client:close()
    end
    table.sort(ports)
    table.sort(seen)
    assert.same(ports, seen)
    server:close()
    for i = 1, 4 do acceptors[i]:wait() end
  end))

  it("leaves to the system the clients that nobody takes", in_run(function()
    local server, port = world.server(8)
    local clients = {}
    for i = 1, 4 do
      clients[i] = uv.new_tcp()
      assert(clients[i]:connect("127.0.0.1", port))
    end
    local taken = {}
    for i = 1, 4 do taken[i] = assert(server:next()) end
    assert.same({ n = 2, nil, "timeout" }, table.pack(server:next(0)))
    for i = 1, 4 do
      clients[i]:close()
      taken[i]:close()
    end
    server:close()
  end))

  it("listens to a pipe, too", in_run(function()
    local path = os.tmpname()
    os.remove(path)
    local server <close> = uv.new_pipe()
    assert(server:bind(path))
    assert(server:listen(4))
    local client <close> = uv.new_pipe()
    assert.is_true(client:connect(path))
    local accepted <close> = assert(server:next())
    client:write("through the pipe")
    assert.equal("through the pipe", accepted:read_some())
  end))

  it("needs listen() before next()", in_run(function()
    local tcp <close> = uv.new_tcp()
    assert.matches("'next' needs a server that listens", helper.message(tcp.next, tcp), 1, true)
  end))
end)

describe("a connection", function()
  after_each(world.check_clean)

  it("that is refused gives nil, a message and a code", in_run(function()
    local server, port = world.server()
    server:close()
    local client <close> = uv.new_tcp()
    local suspended, ok, message, code =
      world.suspends(client.connect, client, "127.0.0.1", port)
    assert.is_true(suspended)
    assert.same({ nil, "ECONNREFUSED" }, { ok, code })
    assert.matches("^ECONNREFUSED: connection refused", message)
    local pipe <close> = uv.new_pipe()
    assert.equal("ENOENT", (select(3, pipe:connect("/does/not/exist"))))
  end))

  it("that is reset tells the reader so", in_run(function()
    local left, right = world.tcp_pair()
    left:close_reset()
    assert.equal("ECONNRESET", (select(3, right:read_some())))
    assert.is_true(left:is_closing())
    right:close()
  end))

  it("of pipes carries handles", in_run(function()
    local left, right = world.pipe_pair(true)
    local tcp <close> = uv.new_tcp()
    assert(tcp:bind("127.0.0.1", 0))
    assert.is_true(left:write2("x", tcp))
    assert.equal("x", right:read_some())
    assert.equal("tcp", right:pending_type())
    local received <close> = uv.new_tcp()
    assert(right:accept(received))
    assert.equal(tcp:getsockname().port, received:getsockname().port)
    left:close()
    right:close()
  end))
end)

describe("handles that luv itself has made", function()
  after_each(world.check_clean)

  it("keep luv's methods, and get those that luv has not", in_run(function()
    local fds = luv.socketpair("stream", nil, { nonblock = true }, { nonblock = true })
    local left, right = luv.new_tcp(), luv.new_tcp()
    left:open(fds[1])
    right:open(fds[2])
    local suspended, request = world.suspends(left.write, left, "x")
    assert.is_false(suspended)
    assert.is_userdata(request)
    assert.equal("x", right:read_some())
    local closing = table.pack(world.suspends(left.close, left))
    assert.same({ n = 1, false }, closing)
    assert.is_true(left:is_closing())
    do local _ <close> = right end
    assert.is_true(right:is_closing())
  end))
end)
