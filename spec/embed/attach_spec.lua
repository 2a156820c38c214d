-- Jobs in luv's loop, with attach. Hosts that call step are in step_hosts_spec.lua.
local luv = require "luv"
local uvjobs = require "uvjobs"
local uv = require "uvjobs.uv"
local helper = require "spec.helper"
local guard = require "spec.guard"

local message, raises = helper.message, helper.raises
local start, attach = uvjobs.start, uvjobs.attach

-- For each kind of callback of luv, a function that makes luv call `wake` by it, and cleans up.
local callbacks = {
  timer = function(wake)
    local timer = luv.new_timer()
    timer:start(1, 0, function() timer:close() wake() end)
  end,
  async = function(wake)
    local async
    async = luv.new_async(function() async:close() wake() end)
    async:send()
  end,
  poll = function(wake)
    local fds = luv.socketpair()
    local poll = luv.new_poll(fds[1])
    poll:start("w", function()
      poll:close(function()
        for _, fd in ipairs(fds) do luv.fs_close(fd) end
      end)
      wake()
    end)
  end,
  signal = function(wake)
    local signal = luv.new_signal()
    signal:start("sigusr2", function() signal:close() wake() end)
    luv.kill(luv.os_getpid(), "sigusr2")
  end,
  ["file request"] = function(wake) luv.fs_stat(".", wake) end,
  getaddrinfo = function(wake) luv.getaddrinfo("127.0.0.1", "80", {}, wake) end,
  process = function(wake)
    local process
    process = luv.spawn("sh", { args = { "-c", "exit 3" } }, function()
      process:close()
      wake()
    end)
  end,
  ["changed file"] = function(wake)
    local path = os.tmpname()
    local watch = luv.new_fs_event()
    watch:start(path, {}, function()
      if not watch:is_closing() then watch:close() end
      os.remove(path)
      wake()
    end)
    assert(io.open(path, "w")):write("changed"):close()
  end,
  ["polled file"] = function(wake)
    local path = os.tmpname()
    local watch = luv.new_fs_poll()
    watch:start(path, 5, function()
      watch:close()
      wake()
    end)
    os.remove(path)
  end,
  datagram = function(wake)
    local udp = luv.new_udp()
    udp:bind("127.0.0.1", 0)
    udp:recv_start(function() udp:close() wake() end)
    udp:send("hello", "127.0.0.1", udp:getsockname().port, function() end)
  end,
  ["sent datagram"] = function(wake)
    local udp = luv.new_udp()
    udp:bind("127.0.0.1", 0)
    udp:send("hello", "127.0.0.1", udp:getsockname().port, function() udp:close() wake() end)
  end,
  connection = function(wake)
    local server, client = luv.new_tcp(), luv.new_tcp()
    server:bind("127.0.0.1", 0)
    server:listen(1, function() client:close() server:close() wake() end)
    client:connect("127.0.0.1", server:getsockname().port, function() end)
  end,
  ["refused connection"] = function(wake)
    local server, client = luv.new_tcp(), luv.new_tcp()
    server:bind("127.0.0.1", 0)
    client:connect("127.0.0.1", server:getsockname().port, function(err)
      assert(err == "ECONNREFUSED", err)
      client:close()
      server:close()
      wake()
    end)
  end,
  ["close callback"] = function(wake) luv.new_timer():close(wake) end,
}

for _, name in ipairs { "idle", "prepare", "check" } do
  callbacks[name] = function(wake)
    local handle = luv["new_" .. name]()
    handle:start(function() handle:close() wake() end)
    -- A timer makes the loop go round.
    callbacks.timer(function() end)
  end
end

-- use(left, right, done) gets the two ends of a pipe; done() closes them and wakes.
local function over_a_pipe(use)
  return function(wake)
    local fds = luv.socketpair()
    local left, right = luv.new_pipe(false), luv.new_pipe(false)
    left:open(fds[1])
    right:open(fds[2])
    use(left, right, function() left:close() right:close() wake() end)
  end
end

callbacks.read = over_a_pipe(function(left, right, done)
  right:read_start(done)
  left:write "data"
end)
callbacks.write = over_a_pipe(function(left, _, done) left:write("data", done) end)
callbacks.shutdown = over_a_pipe(function(left, _, done) left:shutdown(done) end)

describe("luv's loop", function()
  guard.install(function()
    local _ <close> = attach(luv)
    start(uvjobs.exec, "true")
    for _, begin in pairs(callbacks) do begin(function() end) end
    luv.run()
  end)

  it("returns at once when no job lives", function()
    local _ <close> = attach(luv)
    assert.is_false(luv.run())
  end)

  it("goes on while jobs live, and returns then", function()
    local _ <close> = attach(luv)
    local log = helper.log()
    local timer = luv.new_timer()
    timer:start(1, 0, function()
      timer:close()
      log:add "timer of luv"
    end)
    local job = start(function()
      local due = uvjobs.now() + 0.02
      uvjobs.sleep(0.02)
      assert.is_true(uvjobs.now() >= due)
      log:add "slept"
      return 42
    end)
    assert.is_false(luv.run())
    assert.same({ "timer of luv", "slept" }, log)
    assert.equal(42, job:wait())
  end)

  it("runs a job that was started before it was attached", function()
    local job = start(uvjobs.yield)
    local stepped = start(uvjobs.sleep, 0.002)
    uvjobs.step()
    local _ <close> = attach(luv)
    luv.run()
    assert.equal("done", job.state)
    assert.equal("done", stepped.state)
  end)

  for name, begin in pairs(callbacks) do
    it("wakes a job from a callback of luv: " .. name, function()
      local _ <close> = attach(luv)
      local event, woken = uvjobs.event(), 0
      local job = start(function()
        event:wait()
        woken = woken + 1
        begin(function() event:set() end) -- from a job, too
        event:clear()
        event:wait()
        woken = woken + 1
      end)
      begin(function() event:set() end)
      luv.run()
      assert.equal(2, woken)
      assert.equal("done", job.state)
    end)

    it("runs a job that is started in a callback of luv, the last of all: " .. name, function()
      local _ <close> = attach(luv)
      local job
      begin(function() job = job or start(function() return "ran" end) end)
      luv.run()
      assert.equal("ran", job:wait())
    end)
  end

  it("is not kept awake by a job that sleeps", function()
    local _ <close> = attach(luv)
    local count = 0
    local prepare = luv.new_prepare()
    prepare:start(function() count = count + 1 end)
    prepare:unref()
    start(function() uvjobs.sleep(0.05) end)
    luv.run()
    prepare:close()
    assert.is_true(count >= 1 and count <= 6, count)
  end)

  it("is not kept awake by a job that waits for a callback", function()
    local _ <close> = attach(luv)
    local count = 0
    local check = luv.new_check()
    check:start(function() count = count + 1 end)
    check:unref()
    local event = uvjobs.event()
    start(event.wait, event)
    local timer = luv.new_timer()
    timer:start(50, 0, function() timer:close() event:set() end)
    luv.run()
    check:close()
    assert.is_true(count >= 1 and count <= 6, count)
  end)

  it("looks at I/O between the turns of jobs that are always ready #M11", function()
    local _ <close> = attach(luv)
    local fired, turns = false, 0
    start(function()
      callbacks.timer(function() fired = true end)
      while not fired do
        turns = turns + 1
        uvjobs.yield()
      end
    end)
    luv.run()
    assert.is_true(turns >= 1)
  end)

  it("returns by stop while jobs live, and takes them up again", function()
    local _ <close> = attach(luv)
    local job = start(function()
      luv.stop()
      uvjobs.sleep(0.005)
    end)
    assert.is_true(luv.run())
    assert.equal("active", job.state)
    luv.run()
    assert.equal("done", job.state)
  end)

  it("runs jobs in its other modes", function()
    local _ <close> = attach(luv)
    for _, mode in ipairs { "nowait", "once" } do
      local job = start(uvjobs.sleep, 0.002)
      while luv.run(mode) do assert.is_false(job.closed) end
      assert.equal("done", job.state)
    end
  end)

  it("drives jobs that wait for luv itself", function()
    local _ <close> = attach(luv)
    local path = os.tmpname()
    local file = start(function()
      local fd = assert(uv.fs_open(path, "w", 384))
      assert.equal(5, uv.fs_write(fd, "hello"))
      uv.fs_close(fd)
      return uv.fs_stat(path).size
    end)
    local server = uv.new_tcp()
    server:bind("127.0.0.1", 0)
    server:listen(8)
    start(function()
      for client in server:connections() do
        local connection <close> = client
        for chunk in connection:chunks() do connection:write(chunk:upper()) end
      end
    end)
    local talk = start(function()
      local client <close> = uv.new_tcp()
      assert(client:connect("127.0.0.1", server:getsockname().port))
      client:write "hello"
      local answer = client:read_some()
      client:close()
      server:close()
      return answer
    end)
    local exec = start(uvjobs.exec, "cat", {}, { input = "through a child" })
    luv.run()
    os.remove(path)
    assert.equal(5, file:wait())
    assert.equal("HELLO", talk:wait())
    assert.equal("through a child", exec:wait().stdout)
  end)

  it("may be given as uvjobs.uv", function()
    local _ <close> = attach(uv)
    local job = start(function()
      local timer <close> = uv.new_timer()
      timer:start(1)
      return timer:next()
    end)
    uv.run()
    assert.is_true(job:wait())
  end)

  it("is given once, and again after close", function()
    local first = attach(luv)
    assert.equal("uvjobs is attached to luv's loop already", message(attach, luv))
    first:close()
    local second <close> = attach(luv)
    first:close() -- does nothing
    local job = start(uvjobs.sleep, 0.001)
    luv.run()
    assert.equal("done", job.state)
    second:close()
    second:close()
  end)

  for _, case in ipairs { { "nil" }, { "number", 5 }, { "a table without its functions", {} } } do
    it("is told from other arguments: " .. case[1], function()
      assert.equal("bad argument #1 to 'attach' (luv expected, got " .. case[1] .. ")",
        message(attach, case[2]))
    end)
  end

  it("leaves the jobs alone after close: step takes them up", function()
    local attached = attach(luv)
    local job = start(function()
      attached:close()
      uvjobs.sleep(0.001)
    end)
    assert.is_false(luv.run())
    assert.equal("active", job.state)
    while not job.closed do uvjobs.step() end
    assert.equal("done", job.state)
  end)

  it("refuses run while it is attached, and allows it then", function()
    do
      local _ <close> = attach(luv)
      local expected = "uvjobs is attached to luv's loop, which runs the jobs: run cannot"
      assert.equal(expected, message(uvjobs.run, print))
      local job = start(function() return message(uvjobs.run, print) end)
      luv.run()
      assert.matches("^run is already running: this is a job already", job:wait())
    end
    assert.equal("ran", uvjobs.run(function() return "ran" end))
  end)

  it("gives a job the error of its callback, and goes on", function()
    local _ <close> = attach(luv)
    local job
    local waiting = start(function() return pcall(job.wait, job) end)
    job = start(function()
      local timer <close> = uv.new_timer()
      timer:start(1, 0, function() error("in the callback", 0) end)
      uvjobs.sleep(60)
    end)
    luv.run()
    assert.same({ false, "in the callback" }, { waiting:wait() })
  end)

  it("ends a job that is cancelled by a callback #M5", function()
    local _ <close> = attach(luv)
    local job = start(uvjobs.sleep, 60)
    callbacks.timer(function() job:cancel() end)
    luv.run()
    raises("cancelled", job.wait, job)
  end)
end)
