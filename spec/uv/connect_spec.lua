-- uv.connect on this machine: names, errors, time limits, Unix sockets.
local uvjobs = require "uvjobs"
local uv = require "uvjobs.uv"
local helper = require "spec.helper"
local world = require "spec.uv.helper"

local in_run = helper.in_run

local function results(...) return table.pack(...) end

-- A port on which nobody listens. The handle keeps others from taking it.
local function silent_port()
  local tcp = uv.new_tcp()
  assert(tcp:bind("127.0.0.1", 0))
  return tcp, tcp:getsockname().port
end

-- The path of a Unix socket that does not exist yet.
local function socket_path()
  local path = world.file()
  os.remove(path)
  return path
end

describe("uv.connect", function()
  after_each(world.check_clean)

  for _, host in ipairs { "127.0.0.1", "localhost", "127.1" } do
    it("connects to " .. host, in_run(function()
      local server <close>, port = world.server()
      local client <close> = assert(uv.connect(host, port))
      local accepted <close> = assert(server:next())
      client:write("hello\n")
      assert.equal("hello", accepted:read_line())
      assert.equal("127.0.0.1", client:getpeername().ip)
    end))
  end

  it("connects to an address of IPv6", in_run(function()
    local server <close> = uv.new_tcp()
    if not server:bind("::1", 0) or not server:listen(1) then return end -- there is none
    local client <close> = assert(uv.connect("::1", server:getsockname().port))
    assert.equal("::1", client:getpeername().ip)
  end))

  it("names the host, the port, and the last reason", in_run(function()
    local tcp <close>, port = silent_port()
    assert.is_false(tcp:is_closing())
    local refused = "ECONNREFUSED: connection refused"
    assert.same({ n = 3, nil, ("cannot connect to 127.0.0.1:%d: %s"):format(port, refused),
      "ECONNREFUSED" }, results(uv.connect("127.0.0.1", port)))
    local _, message, code = uv.connect("localhost", port)
    assert.equal("ECONNREFUSED", code)
    assert.matches(("cannot connect to localhost:%d: %s ("):format(port, refused), message, 1, true)
    assert.same({ nil, "cannot connect to no..such..host:80: EAI_NONAME: unknown node or service",
      "EAI_NONAME" }, { uv.connect("no..such..host", 80) })
    local long = ("x"):rep(3000)
    assert.equal(("cannot connect to %s...:80: EINVAL: invalid argument"):format(long:sub(1, 255)),
      (select(2, uv.connect(long, 80))))
  end))

  it("connects to a Unix socket by its path", in_run(function()
    local path = socket_path()
    local server <close> = uv.new_pipe(false)
    assert(server:bind(path))
    assert(server:listen(1))
    local client <close> = assert(uv.connect(path))
    local accepted <close> = assert(server:next())
    client:write("hello\n")
    assert.equal("hello", accepted:read_line())
  end))

  it("says why it cannot connect to a Unix socket", in_run(function()
    local message = "cannot connect to /does/not/exist: ENOENT: no such file or directory"
    assert.same({ n = 3, nil, message, "ENOENT" }, results(uv.connect("/does/not/exist")))
    assert.equal("ENAMETOOLONG", (select(3, uv.connect("/" .. ("x"):rep(107)))))
    assert.equal("ENOENT", (select(3, uv.connect("/" .. ("x"):rep(106)))))
  end))

  it("waits for a Unix socket whose queue is full, for at most its time", in_run(function()
    local path = socket_path()
    local server <close> = uv.new_pipe(false)
    assert(server:bind(path))
    assert(server:listen(1))
    local clients = {}
    local reason, code, message
    repeat
      clients[#clients + 1], reason, code, message = uv.connect(path, nil, 0.03)
    until reason
    assert.same({ "timeout", "ETIMEDOUT" }, { reason, code })
    assert.equal(("cannot connect to %s: no answer within 0.03 s; "):format(path) ..
      "EAGAIN: resource temporarily unavailable", message)
    local jobs <close> = uvjobs.scheduler()
    local job = jobs:spawn(uv.connect, path)
    world.settle(job)
    for _ = 1, #clients do assert(server:next()):close() end
    clients[#clients + 1] = assert(job:wait())
    for _, client in ipairs(clients) do client:close() end
  end))

  for _, case in ipairs {
    { "#1", "string expected, got nil", {} },
    { "#1", "string that is not empty and has no zero byte expected", { "", 80 } },
    { "#1", "string that is not empty and has no zero byte expected", { "a\0b", 80 } },
    { "#2", "port expected, got nil; only a path with a '/' in it has none", { "localhost" } },
    { "#2", "integer from 1 to 65535 expected, got 0", { "localhost", 0 } },
    { "#2", "integer from 1 to 65535 expected, got 65536", { "localhost", 65536 } },
    { "#2", "integer from 1 to 65535 expected, got 80.5", { "localhost", 80.5 } },
    { "#2", "integer from 1 to 65535 expected, got string", { "localhost", "80" } },
  } do
    local place, problem, args = table.unpack(case)
    it("refuses a bad argument: " .. problem, in_run(function()
      assert.equal(("bad argument %s to 'connect' (%s)"):format(place, problem),
        helper.message(uv.connect, args[1], args[2]))
    end))
  end

  it("refuses a bad time limit", in_run(function()
    assert.matches("bad argument #3 to 'connect' %(seconds must be >= 0",
      helper.message(uv.connect, "localhost", 80, -1))
  end))

  it("needs a job", function()
    assert.equal("'connect' must be called in a job: use uvjobs.run",
      helper.message(uv.connect, "localhost", 80))
  end)
end)

-- ---- an address without an answer ------------------------------------------------------

-- A port without an answer: the queue of its server is full. Returns what has to be closed.
local function hanging_port()
  local server = uv.new_tcp()
  assert(server:bind("127.0.0.1", 0))
  assert(server:listen(1))
  local port, open = server:getsockname().port, { server }
  repeat
    local tcp = uv.new_tcp()
    open[#open + 1] = tcp
    local connected = uvjobs.event()
    tcp:connect("127.0.0.1", port, function() connected:set() end)
  until not connected:wait(0.2)
  return port, open
end

local function close_all(open)
  for _, handle in ipairs(open) do handle:close() end
end

local function count_handles()
  local n = 0
  uv.walk(function() n = n + 1 end)
  return n
end

describe("uv.connect without an answer", function()
  after_each(world.check_clean)

  it("returns nil and timeout, a code and a message, and leaves nothing open", in_run(function()
    local port, open = hanging_port()
    local before = count_handles()
    local got = results(uv.connect("127.0.0.1", port, 0.05))
    uvjobs.sleep(0.01)
    assert.same({ n = 4, nil, "timeout", "ETIMEDOUT",
      ("cannot connect to 127.0.0.1:%d: no answer within 0.05 s"):format(port) }, got)
    assert.equal(before, count_handles())
    close_all(open)
  end))

  it("leaves nothing open when its job is cancelled", in_run(function()
    local port, open = hanging_port()
    local before = count_handles()
    local jobs <close> = uvjobs.scheduler()
    for _, host in ipairs { "127.0.0.1", "localhost" } do
      local job = jobs:spawn(uv.connect, host, port)
      world.settle(job)
      job:cancel()
      job:join()
      assert.equal("cancelled", job.state)
    end
    uvjobs.sleep(0.01)
    assert.equal(before, count_handles())
    close_all(open)
  end))
end)
