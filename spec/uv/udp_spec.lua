-- Datagrams as calls, on this machine.
local uvjobs = require "uvjobs"
local uv = require "uvjobs.uv"
local helper = require "spec.helper"
local world = require "spec.uv.helper"

-- Calls `fn(receiver, sender, port)` in a job; the sockets are closed then.
local function sockets(fn)
  return function()
    uvjobs.run(function()
      local receiver <close> = uv.new_udp()
      local sender <close> = uv.new_udp()
      assert(receiver:bind("127.0.0.1", 0))
      fn(receiver, sender, receiver:getsockname().port)
    end)
  end
end

describe("a datagram", function()
  after_each(world.check_clean)

  it("arrives with the address that it came from, and flags", sockets(function(to, from, port)
    assert.is_true(from:send("hello", "127.0.0.1", port))
    local data, address, flags = to:receive()
    assert.equal("hello", data)
    assert.same({ ip = "127.0.0.1", family = "inet", port = from:getsockname().port }, address)
    assert.is_table(flags)
    assert.falsy(flags.partial)
  end))

  it("may be empty, and a list of strings", sockets(function(to, from, port)
    assert.is_true(from:send({ "a", "b" }, "127.0.0.1", port))
    assert.equal("ab", (to:receive()))
    assert.is_true(from:send("", "127.0.0.1", port))
    assert.equal("", (to:receive()))
  end))

  it("is sent to where the socket is connected", sockets(function(to, from, port)
    assert.equal(0, from:connect("127.0.0.1", port))
    assert.is_true(from:send("x"))
    assert.equal("x", (to:receive()))
    assert.equal("EISCONN", (select(3, from:send("x", "127.0.0.1", port))))
  end))

  it("that is too long is refused", sockets(function(_, from, port)
    assert.equal("EMSGSIZE", (select(3, from:send(("x"):rep(100000), "127.0.0.1", port))))
  end))

  it("that nobody has received waits in the system", sockets(function(to, from, port)
    for i = 1, 20 do assert(from:send(tostring(i), "127.0.0.1", port)) end
    for i = 1, 20 do assert.equal(tostring(i), (to:receive())) end
    assert.same({ n = 2, nil, "timeout" }, table.pack(to:receive(0)))
  end))

  it("that comes after a timeout is not lost #M6", sockets(function(to, from, port)
    assert.same({ n = 2, nil, "timeout" }, table.pack(to:receive(0.01)))
    assert(from:send("late", "127.0.0.1", port))
    assert.equal("late", (to:receive(30)))
  end))

  it("goes to one of those who wait, in turn", sockets(function(to, from, port)
    local jobs <close> = uvjobs.scheduler()
    local waiting = {}
    for i = 1, 3 do
      waiting[i] = jobs:spawn(to.receive, to)
      world.settle(waiting[i])
    end
    for i = 1, 3 do
      assert(from:send(tostring(i), "127.0.0.1", port))
      assert.equal(tostring(i), (waiting[i]:wait()))
    end
  end))

  it("is waited for until the socket is closed", sockets(function(to)
    local jobs <close> = uvjobs.scheduler()
    local waiting = jobs:spawn(to.receive, to)
    world.settle(waiting)
    assert.equal("active", waiting.state)
    to:close()
    assert.is_nil((waiting:wait()))
    assert.is_nil((to:receive()))
  end))

  it("suspends the one who sends now and then", sockets(function(_, from, port)
    assert.is_true((world.suspends(function()
      for _ = 1, 100 do assert(from:send("x", "127.0.0.1", port)) end
    end)))
  end))

  it("with a callback is sent as luv does it", sockets(function(to, from, port)
    local sent
    local request = from:send("x", "127.0.0.1", port, function(err) sent = { err } end)
    assert.equal(0, request)
    assert.equal("x", (to:receive()))
    world.wait_until(function() return sent end)
    assert.same({}, sent)
  end))

  it("has to be a string, or a list of them", sockets(function(_, from)
    assert.equal("bad argument #1 to 'send' (string or list of strings expected, got number)",
      helper.message(function() local _ = from:send(1, "127.0.0.1", 1) end))
  end))
end)
