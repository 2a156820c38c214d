-- uv.serve: a job accepts clients, which have a job each.
local luv = require "luv"
local uvjobs = require "uvjobs"
local uv = require "uvjobs.uv"
local helper = require "spec.helper"
local world = require "spec.uv.helper"

local in_run = helper.in_run

-- Serves in a job of `jobs`. Returns the job and the address.
local function start(jobs, options, fn, host, port)
  local listening = uvjobs.event()
  local address
  options.on_listen = function(where)
    address = where
    listening:set()
  end
  local job = jobs:spawn(uv.serve, host or "127.0.0.1", port or not host and 0 or nil, options, fn)
  listening:wait()
  return job, address
end

local function stop(job)
  job:cancel()
  job:join()
  assert.equal("cancelled", job.state)
end

local function echo(client)
  for line in client:lines() do assert(client:write { line, "\n" }) end
end

local function ask(client, line)
  assert(client:write { line, "\n" })
  return client:read_line()
end

describe("uv.serve", function()
  after_each(world.check_clean)

  it("says where it listens, and gives each client and its address to a job", in_run(function()
    local jobs <close> = helper.quiet()
    local seen = {}
    local job, address = start(jobs, {}, function(client, peer)
      local own = uvjobs.current()
      seen[#seen + 1] = { peer.ip, peer.port, own.name }
      assert.not_equal(own, client)
      echo(client)
    end)
    assert.same({ "127.0.0.1", true, "inet" }, { address.ip, address.port > 0, address.family })
    local client <close> = assert(uv.connect("127.0.0.1", address.port))
    assert.equal("hello", ask(client, "hello"))
    local port = client:getsockname().port
    assert.same({ { "127.0.0.1", port, "127.0.0.1:" .. port } }, seen)
    client:shutdown()
    assert.is_nil((client:read_some())) -- it is closed when fn has returned
    stop(job)
    assert.equal("ECONNREFUSED", (select(3, uv.connect("127.0.0.1", address.port))))
  end))

  it("serves a Unix socket", in_run(function()
    local jobs <close> = helper.quiet()
    local path = world.file()
    os.remove(path)
    local job, address = start(jobs, {}, function(client, peer)
      assert.is_nil(peer)
      echo(client)
    end, path)
    assert.same({ path = path }, address)
    local client <close> = assert(uv.connect(path))
    assert.equal("x", ask(client, "x"))
    client:close()
    stop(job)
    assert.is_nil(luv.fs_stat(path))
  end))

  it("serves no more clients at once than its limit", in_run(function()
    local jobs <close> = helper.quiet()
    local now, most = 0, 0
    local job, address = start(jobs, { limit = 3 }, function(client)
      now = now + 1
      most = math.max(most, now)
      local _ <close> = helper.closing(function() now = now - 1 end)
      echo(client)
    end)
    local clients = jobs:spawn(uvjobs.map, { 1, 2, 3, 4, 5, 6, 7, 8, 9 }, function(i)
      local client <close> = assert(uv.connect("127.0.0.1", address.port))
      assert.equal(tostring(i), ask(client, i .. ""))
      uvjobs.sleep(0.01)
    end)
    clients:wait()
    assert.equal(3, most)
    stop(job)
  end))

  it("goes on when fn fails, and tells the exception handler", in_run(function()
    local contexts, outer = {}, {}
    local jobs <close> = uvjobs.scheduler { exception_handler = helper.recorder(outer) }
    local problem = { "a value" }
    for _, options in ipairs {
      { limit = 1 }, { limit = 1, exception_handler = helper.recorder(contexts) },
    } do
      local job, address = start(jobs, options, function() error(problem) end)
      for _ = 1, 3 do
        local client <close> = assert(uv.connect("127.0.0.1", address.port))
        assert.is_nil((client:read_some()))
      end
      stop(job)
    end
    assert.same({ 3, 3 }, { #outer, #contexts })
    assert.equal(problem, outer[1].exception)
    assert.equal(problem, contexts[3].exception)
    assert.matches("^127.0.0.1:", contexts[1].job.name)
  end))

  it("lets connections finish when it is to end, and accepts no more", in_run(function()
    local jobs <close> = helper.quiet()
    local job, address = start(jobs, { stop_timeout = math.huge }, echo)
    local client <close> = assert(uv.connect("127.0.0.1", address.port))
    assert.equal("1", ask(client, "1"))
    job:cancel()
    world.settle(job)
    assert.equal("ECONNREFUSED", (select(3, uv.connect("127.0.0.1", address.port))))
    assert.equal("2", ask(client, "2"))
    assert.equal("closing", job.state)
    client:close()
    job:join()
    assert.equal("cancelled", job.state)
  end))

  it("closes connections that do not finish in time, which is no error", in_run(function()
    local jobs <close> = helper.quiet()
    local told = {}
    local job, address = start(jobs, {
      stop_timeout = 0.02,
      exception_handler = function(_, context) told[#told + 1] = context.message end,
    }, echo)
    local client <close> = assert(uv.connect("127.0.0.1", address.port))
    assert.equal("1", ask(client, "1"))
    stop(job)
    assert.is_nil((client:read_some()))
    assert.same({}, told)
  end))

  it("raises what has ended it, such as a deadline", in_run(function()
    helper.raises("timeout", uvjobs.timeout, 0.02, uv.serve, "127.0.0.1", 0, nil, echo)
    local problem = {}
    local ok, err = pcall(uv.serve, "127.0.0.1", 0, {
      on_listen = function() error(problem) end,
    }, echo)
    assert.same({ false, true }, { ok, err == problem })
  end))

  it("leaves nothing open when its job is killed", in_run(function()
    local jobs <close> = helper.quiet()
    local job, address = start(jobs, { stop_timeout = 30 }, echo)
    local client <close> = assert(uv.connect("127.0.0.1", address.port))
    assert.equal("1", ask(client, "1"))
    helper.raises("timeout", job.close, job, 0.01)
    assert.equal("killed", job.state)
    assert.is_nil((client:read_some()))
  end))

  it("closes clients whose jobs have not begun", in_run(function()
    local jobs <close> = helper.quiet()
    for _ = 1, 20 do
      local job, address = start(jobs, { stop_timeout = 0 }, echo)
      local clients = {}
      for i = 1, 4 do
        clients[i] = uv.new_tcp()
        clients[i]:connect("127.0.0.1", address.port, helper.ignore)
      end
      world.wait_until(function() return job.resumes > 1 end)
      stop(job)
      for i = 1, 4 do clients[i]:close() end
    end
  end))

  it("reports once that it cannot accept, waits, and goes on", in_run(function()
    local contexts = {}
    local jobs <close> = helper.quiet()
    local listen, on_connection = luv.listen, nil
    luv.listen = function(server, backlog, callback)
      on_connection = callback
      return listen(server, backlog, callback)
    end
    local job, address = start(jobs, { exception_handler = helper.recorder(contexts) }, echo)
    luv.listen = listen
    for round = 1, 2 do
      for _ = 1, 3 do
        on_connection("EMFILE")
        world.settle(job)
        uvjobs.sleep(0.11)
      end
      assert.equal(round, #contexts)
      local client <close> = assert(uv.connect("127.0.0.1", address.port))
      assert.equal("1", ask(client, "1"))
    end
    assert.same({ "Accepting failed", "EMFILE: too many open files" },
      { contexts[1].message, contexts[1].exception })
    stop(job)
  end))

  it("says why it cannot listen", in_run(function()
    local server <close>, port = world.server()
    assert.is_false(server:is_closing())
    assert.same({ nil, ("cannot listen on 127.0.0.1:%d: "):format(port) ..
      "EADDRINUSE: address already in use", "EADDRINUSE" },
      { uv.serve("127.0.0.1", port, nil, echo) })
    assert.equal("EAI_NONAME", (select(3, uv.serve("no..such..host", 0, nil, echo))))
    assert.equal("ENAMETOOLONG", (select(3, uv.serve("/" .. ("x"):rep(107), nil, nil, echo))))
    assert.equal("EACCES", -- libuv says so for ENOENT
      (select(3, uv.serve("/does/not/exist", nil, nil, echo))))
  end))

  it("shares its port, or says that it cannot", in_run(function()
    local jobs <close> = helper.quiet()
    local address
    local job = jobs:spawn(uv.serve, "127.0.0.1", 0, {
      reuseport = true,
      on_listen = function(where) address = where end,
    }, echo)
    repeat uvjobs.yield() until address or job.closed
    if job.closed then
      assert.equal("ENOTSUP", (select(3, job:wait())))
      return
    end
    local other = start(jobs, { reuseport = true }, echo, "127.0.0.1", address.port)
    stop(job)
    stop(other)
  end))

  for _, case in ipairs {
    { "bad argument #2 to 'serve' (integer from 0 to 65535 expected, got -1)", "x", -1, {}, echo },
    { "bad argument #2 to 'serve' (port expected, got nil;", "x", nil, {}, echo },
    { "bad argument #3 to 'serve' (unknown option 'limt', did you mean 'limit'?)",
      "x", 0, { limt = 1 }, echo },
    { "bad argument #3 to 'serve' (option 'limit': integer >= 1 or math.huge expected, got 0)",
      "x", 0, { limit = 0 }, echo },
    { "bad argument #3 to 'serve' (option 'stop_timeout': ", "x", 0, { stop_timeout = -1 }, echo },
    { "bad argument #4 to 'serve' (function expected, got nil)", "x", 0, {} },
  } do
    it("refuses misuse: " .. case[1], in_run(function()
      assert.matches(case[1], helper.message(uv.serve, table.unpack(case, 2, 5)), 1, true)
    end))
  end
end)
