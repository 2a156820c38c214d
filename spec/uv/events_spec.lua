-- next() of a handle gives one event after the other.
local luv = require "luv"
local uvjobs = require "uvjobs"
local uv = require "uvjobs.uv"
local helper = require "spec.helper"
local world = require "spec.uv.helper"

local in_run = helper.in_run

local function hang_up()
  luv.kill(luv.os_getpid(), "sighup")
end

local TIMEOUT <const> = { n = 2, nil, "timeout" }

local function next_of(handle, timeout)
  return table.pack(handle:next(timeout))
end

-- For each kind of handle, how to make an event, and the first value that next() gives for it.
local kinds = {
  signal = { start = { "sighup" }, happen = hang_up, gives = "sighup" },
  timer = { start = { 1000000 }, gives = true, happen = function(timer) timer:start(1) end },
  fs_event = {
    start = function(path) return path end,
    happen = function(_, path) assert(os.execute("echo x >>" .. path)) end,
  },
  fs_poll = {
    start = function(path) return path, 1 end,
    happen = function(_, path) assert(os.execute("echo x >>" .. path)) end,
    can_miss = true, -- what changes before luv has looked at the file once
  },
}

local function started(kind, what, path)
  local handle = uv["new_" .. kind]()
  if type(what.start) == "function" then
    assert(handle:start(what.start(path)))
  else
    assert(handle:start(table.unpack(what.start)))
  end
  return handle
end

--- Lets it happen, again when it was missed, and returns what next_event(limit) gives.
local function let_happen(what, handle, path, next_event)
  local event
  repeat
    what.happen(handle, path)
    event = next_event(what.can_miss and 1 or 30)
  until event or not what.can_miss
  return event
end

for kind, what in pairs(kinds) do
  describe("next() of a " .. kind, function()
    after_each(world.check_clean)

    local path
    before_each(function() path = world.file "text" end)
    after_each(function() os.remove(path) end)

    it("suspends until something happens", in_run(function()
      local handle <close> = started(kind, what, path)
      local jobs <close> = uvjobs.scheduler()
      local waiting = jobs:spawn(handle.next, handle)
      world.settle(waiting)
      uvjobs.sleep(0.01)
      assert.equal("active", waiting.state)
      local first = let_happen(what, handle, path, function(limit)
        return (waiting:wait(limit))
      end)
      assert.truthy(first)
      if what.gives then assert.equal(what.gives, first) end
    end))

    it("returns nil and timeout, and then what happens #M6", in_run(function()
      local handle <close> = started(kind, what, path)
      assert.same(TIMEOUT, next_of(handle, 0))
      assert.same(TIMEOUT, next_of(handle, 0.02))
      assert.truthy(let_happen(what, handle, path, function(limit)
        return (handle:next(limit))
      end))
    end))

    it("keeps what has happened before it is asked", in_run(function()
      local handle <close> = started(kind, what, path)
      uvjobs.sleep(0.01)
      assert.truthy(let_happen(what, handle, path, function(limit)
        uvjobs.sleep(0.02)
        return (handle:next(limit))
      end))
    end))

    it("ends when the handle is closed", in_run(function()
      local handle = started(kind, what, path)
      local jobs <close> = uvjobs.scheduler()
      local waiting = jobs:spawn(handle.next, handle)
      world.settle(waiting)
      handle:close()
      assert.is_nil((waiting:wait()))
      assert.is_nil((handle:next()))
    end))

    it("needs a handle that was started without a callback", in_run(function()
      local handle <close> = uv["new_" .. kind]()
      assert.matches("'next' needs a handle that was started",
        helper.message(handle.next, handle), 1, true)
    end))
  end)
end

describe("an event", function()
  after_each(world.check_clean)

  it("of a signal that came twice is told once", in_run(function()
    local handle <close> = uv.new_signal()
    assert.equal(0, handle:start("sighup"))
    hang_up()
    uvjobs.sleep(0.01)
    hang_up()
    uvjobs.sleep(0.01)
    assert.equal("sighup", handle:next())
    assert.same(TIMEOUT, next_of(handle, 0.01))
    hang_up()
    assert.equal("sighup", handle:next(30))
  end))

  it("of a signal that was asked for once comes once", in_run(function()
    local handle <close> = uv.new_signal()
    handle:start_oneshot("sighup")
    hang_up()
    assert.equal("sighup", handle:next(30))
    assert.is_false(handle:is_active())
  end))

  it("of a timer that repeats comes again and again, told once at a time", in_run(function()
    local handle <close> = uv.new_timer()
    assert.equal(0, handle:start(5, 5))
    local start = luv.now() -- the time of luv's loop, from which the timer counts
    for _ = 1, 3 do assert.is_true(handle:next()) end
    assert.is_true(luv.now() - start >= 15)
    uvjobs.sleep(0.05)
    assert.is_true(handle:next(0))
    handle:stop()
    assert.same(TIMEOUT, next_of(handle, 0.02))
  end))

  it("of a file names it and the change; the same change is told once", in_run(function()
    local path = world.file()
    local handle <close> = uv.new_fs_event()
    assert.equal(0, handle:start(path))
    for _ = 1, 5 do os.execute("echo x >>" .. path) end
    local name, change = handle:next()
    assert.equal(path:match "[^/]+$", name)
    assert.is_true(change.change)
    local more = 0
    while handle:next(0.02) do more = more + 1 end
    assert.is_true(more <= 1)
    os.remove(path)
  end))

  it("of a polled file has its state before, and the newest one", in_run(function()
    local path = world.file "1"
    local handle <close> = uv.new_fs_poll()
    assert.equal(0, handle:start(path, 1))
    local before, now
    repeat -- luv may take its first look at the file after the first change
      os.execute("echo 3456789 >>" .. path)
      before, now = handle:next(0.1)
    until before
    assert.is_true(before.size < now.size)
    assert.same({ 1, 1 }, { before.size % 8, now.size % 8 })
    os.remove(path)
  end))

  it("of a polled file that is not there is an error", in_run(function()
    local handle <close> = uv.new_fs_poll()
    assert.equal(0, handle:start("/does/not/exist", 1))
    assert.equal("ENOENT", (select(3, handle:next())))
  end))

  it("of a descriptor says what it is ready for", in_run(function()
    local fds = assert(luv.pipe())
    do
      local reading <close> = uv.new_poll(fds.read)
      local writing <close> = uv.new_poll(fds.write)
      reading:start() -- "r"
      writing:start("w")
      assert.same(TIMEOUT, next_of(reading, 0.01))
      assert.equal("w", writing:next())
      assert.equal("w", writing:next())
      luv.fs_write(fds.write, "x")
      assert.equal("r", reading:next())
      assert.equal("r", reading:next())
      luv.fs_read(fds.read, 1)
      assert.same(TIMEOUT, next_of(reading, 0.01))
    end
    luv.fs_close(fds.read)
    luv.fs_close(fds.write)
  end))

  it("of a descriptor goes to all who wait for it, one by one", in_run(function()
    local fds = assert(luv.pipe())
    do
      local handle <close> = uv.new_poll(fds.read)
      local jobs <close> = uvjobs.scheduler()
      local first, second = jobs:spawn(handle.next, handle), jobs:spawn(handle.next, handle)
      world.settle(second)
      luv.fs_write(fds.write, "x")
      assert.equal("r", first:wait())
      assert.equal("r", second:wait())
    end
    luv.fs_close(fds.read)
    luv.fs_close(fds.write)
  end))

  it("of a descriptor is looked for only while a job waits", in_run(function()
    local fds = assert(luv.pipe())
    do
      local handle <close> = uv.new_poll(fds.read)
      assert.same(TIMEOUT, next_of(handle, 0.01))
      assert.is_false(handle:is_active())
      luv.fs_write(fds.write, "x")
      uvjobs.sleep(0.01)
      luv.fs_read(fds.read, 1)
      assert.same(TIMEOUT, next_of(handle, 0.01))
    end
    luv.fs_close(fds.read)
    luv.fs_close(fds.write)
  end))

  it("of an async handle is what was sent", in_run(function()
    local handle <close> = uv.new_async()
    assert.same(TIMEOUT, next_of(handle, 0.01))
    handle:send("a", 2, nil)
    local event = table.pack(handle:next())
    assert.same({ "a", 2 }, { event[1], event[2] })
    handle:send("b")
    uvjobs.sleep(0.01)
    handle:send("c")
    assert.equal("b", (handle:next()))
    assert.equal("c", (handle:next()))
  end))

  it("of the loop comes each time that it is asked for, and only then", in_run(function()
    for _, kind in ipairs { "idle", "prepare", "check" } do
      local handle <close> = uv["new_" .. kind]()
      assert.is_false(handle:is_active())
      for _ = 1, 3 do assert.is_true((select(2, world.suspends(handle.next, handle)))) end
      assert.is_false(handle:is_active())
    end
  end))

  it("of the loop comes to all who wait for it", in_run(function()
    for _, kind in ipairs { "idle", "prepare", "check" } do
      local handle <close> = uv["new_" .. kind]()
      local function next_one() return handle:next() end
      assert.same({ true, true, n = 2 }, (uvjobs.all { next_one, next_one }))
    end
  end))

  it("goes to a callback when one is given, as with luv", in_run(function()
    local handle <close> = uv.new_timer()
    local ticks = 0
    assert.equal(0, handle:start(1, 1, function() ticks = ticks + 1 end))
    world.wait_until(function() return ticks == 3 end)
    assert.matches("'next' needs a handle", helper.message(handle.next, handle), 1, true)
  end))

  it("that luv refuses is a result, as with luv", in_run(function()
    local handle <close> = uv.new_fs_event()
    assert.equal("ENOENT", (select(3, handle:start("/does/not/exist"))))
  end))
end)

describe("a child process", function()
  after_each(world.check_clean)

  local function spawn(script)
    return assert(uv.spawn("sh", { args = { "-c", script } }))
  end

  it("is waited for, as often as one asks", in_run(function()
    local process, pid = uv.spawn("sh", { args = { "-c", "exit 7" } })
    assert.equal(process:get_pid(), pid)
    local results = table.pack(world.suspends(process.wait, process))
    assert.same({ n = 3, true, 7, 0 }, results)
    assert.same({ n = 3, false, 7, 0 }, table.pack(world.suspends(process.wait, process)))
    process:close()
  end))

  it("that a signal ends tells its number", in_run(function()
    local process <close> = spawn "kill -9 $$"
    assert.same({ 0, 9 }, { process:wait() })
  end))

  it("is waited for with a timeout, and by several", in_run(function()
    local process <close> = assert(uv.spawn("sleep", { args = { "60" } }))
    assert.same(TIMEOUT, table.pack(process:wait(0.01)))
    local jobs <close> = uvjobs.scheduler()
    local first, second = jobs:spawn(process.wait, process), jobs:spawn(process.wait, process)
    world.settle(second)
    process:kill("sigterm")
    assert.same({ 0, 15 }, { first:wait() })
    assert.same({ 0, 15 }, { second:wait() })
  end))

  it("speaks through pipes", in_run(function()
    local input <close> = uv.new_pipe()
    local output <close> = uv.new_pipe()
    local process <close> = assert(uv.spawn("cat", { stdio = { input, output } }))
    assert.is_true(input:write("hello"))
    assert.equal("hello", output:read_some())
    input:close()
    assert.is_nil(output:read_some())
    assert.same({ 0, 0 }, { process:wait() })
  end))

  it("that cannot be started is a result", in_run(function()
    local process, message, code = uv.spawn("/does/not/exist", {})
    assert.is_nil(process)
    assert.matches("^ENOENT", message)
    assert.equal("ENOENT", code)
  end))

  it("whose handle is closed wakes the one who waits", in_run(function()
    local process, pid = assert(uv.spawn("sleep", { args = { "60" } }))
    local jobs <close> = uvjobs.scheduler()
    local waiting = jobs:spawn(process.wait, process)
    world.settle(waiting)
    process:close()
    assert.is_nil((waiting:wait()))
    luv.kill(pid, "sigkill")
  end))

  it("that was spawned with a callback has no wait()", in_run(function()
    local ended
    local process <close> = uv.spawn("true", {}, function(...) ended = { ... } end)
    assert.matches("'wait' needs a process", helper.message(process.wait, process), 1, true)
    world.wait_until(function() return ended end)
    assert.same({ 0, 0 }, ended)
  end))
end)
