-- Real hosts that call step: a controller of cqueues, a loop of poll(2) beside
-- luv, a game's loop; and several one after the other.
local cqueues = require "cqueues"
local condition = require "cqueues.condition"
local luv = require "luv"
local uvjobs = require "uvjobs"
local uv = require "uvjobs.uv"
local helper = require "spec.helper"
local embed = require "spec.embed.helper"

local readable, drive, settle = embed.readable, embed.drive, embed.settle
local start, step, next_timeout = uvjobs.start, uvjobs.step, uvjobs.next_timeout

-- Starts a server that answers in capitals; the address is getsockname() of it.
local function serve()
  local server = uv.new_tcp()
  assert(server:bind("127.0.0.1", 0))
  assert(server:listen(8))
  local job = start(function()
    for client in server:connections() do
      local connection <close> = client
      for chunk in connection:chunks() do assert(connection:write(chunk:upper())) end
    end
  end)
  return server, job
end

local function talk(server, text)
  local client <close> = uv.new_tcp()
  assert(client:connect("127.0.0.1", server:getsockname().port))
  assert(client:write(text))
  return client:read_some()
end

describe("a host that calls step", function()
  embed.install_guard(function()
    drive(start(uvjobs.exec, "true"), start(uv.fs_stat, "."))
    local watch = luv.new_fs_event()
    watch:start(".", {}, print)
    watch:close()
  end)

  -- ---- poll(2), beside luv -------------------------------------------------------

  it("drives files, names and timers of luv", function()
    local file = start(function() return uv.fs_stat(".").type end)
    local name = start(function() return #uv.getaddrinfo("127.0.0.1", "80", {}) end)
    local timer = start(function()
      local timer <close> = uv.new_timer()
      timer:start(5)
      return timer:next()
    end)
    drive(file, name, timer)
    assert.equal("directory", file:wait())
    assert.is_true(name:wait() >= 1)
    assert.is_true(timer:wait())
  end)

  it("drives servers and clients", function()
    local server, serving = serve()
    local clients = {}
    for i = 1, 8 do clients[i] = start(talk, server, "hello " .. i) end
    drive(table.unpack(clients))
    for i = 1, 8 do assert.equal("HELLO " .. i, clients[i]:wait()) end
    assert.equal("active", serving.state)
    server:close()
    drive(serving)
  end)

  it("drives child processes and signals", function()
    local signal = start(function()
      local signal <close> = uv.new_signal()
      signal:start "sigusr2"
      uvjobs.exec("sh", { "-c", "kill -USR2 $PPID" })
      return signal:next()
    end)
    local exec = start(uvjobs.exec, "cat", {}, { input = ("x"):rep(300000) })
    drive(signal, exec)
    assert.equal("sigusr2", signal:wait())
    assert.equal(300000, #exec:wait().stdout)
  end)

  it("is not woken by an open handle to which nothing happens", function()
    local server, serving = serve()
    local waiting = start(function()
      local event <close> = uv.new_fs_event()
      event:start "."
      local timer <close> = uv.new_timer()
      timer:start(3600000)
      timer:next()
    end)
    settle()
    while readable(0.01) do step() end
    local turns = uvjobs.stats().turns
    local left = next_timeout()
    assert.is_true(left > 0 and left <= 3600, left)
    assert.is_false(readable(0.02))
    assert.equal(turns, uvjobs.stats().turns)
    waiting:cancel()
    server:close()
    drive(waiting, serving)
    while next_timeout() == 0 do step() end -- luv lets go of the handles
    assert.is_nil(next_timeout())
  end)

  it("is woken by a timer of luv's own, and runs its callback", function()
    local fired = false
    local timer = luv.new_timer()
    timer:start(3600000, 0, print)
    step()
    local left = next_timeout()
    assert.is_true(left > 0 and left <= 3600, left)
    timer:start(5, 0, function()
      timer:close()
      fired = true
    end)
    step()
    while not fired do
      assert.is_true(readable(60))
      step()
    end
    settle()
  end)

  it("steps a handful of times while a job sleeps", function()
    local turns = uvjobs.stats().turns
    local steps = drive(start(function() uvjobs.sleep(0.05) end))
    assert.is_true(steps <= 4, steps)
    assert.is_true(uvjobs.stats().turns - turns <= 4)
  end)

  it("gets by without the descriptor, by next_timeout alone", function()
    local job = start(function()
      for _ = 1, 3 do uvjobs.sleep(0.005) end
    end)
    local steps = 0
    while not job.closed do
      if not step() then luv.sleep(math.ceil((next_timeout() or 0) * 1000)) end
      steps = steps + 1
    end
    assert.equal("done", job.state)
    assert.is_true(steps <= 20, steps)
  end)

  it("of a game comes by sixty times, and jobs run a turn in each frame", function()
    local frames, seen = 0, {}
    local job = start(function()
      for i = 1, 10 do
        seen[i] = frames
        uvjobs.yield()
      end
    end)
    while not job.closed do
      frames = frames + 1
      step()
    end
    assert.same({ 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 }, seen)
  end)

  it("may call step from a timer of luv's, where luv is not driven again", function()
    local job = start(function()
      uvjobs.sleep(0.005)
      return luv.loop_mode()
    end)
    local timer = luv.new_timer()
    timer:start(0, 1, function()
      step()
      if job.closed then timer:close() end
    end)
    luv.run()
    assert.equal("default", job:wait())
  end)

  -- ---- cqueues ----------------------------------------------------------------------

  -- Runs functions as coroutines of a controller, beside a coroutine that drives the jobs until
  -- they have ended.
  local function in_controller(jobs, ...)
    local controller = cqueues.new()
    controller:wrap(function() drive(table.unpack(jobs)) end)
    for _, fn in ipairs { ... } do controller:wrap(fn) end
    assert(controller:loop())
    assert.is_true(controller:empty())
    controller:close()
  end

  it("in a controller of cqueues lets both sleep side by side", function()
    local log = helper.log()
    local turn = uvjobs.event()
    local job = start(function()
      local due = uvjobs.now() + 0.01
      uvjobs.sleep(0.01)
      assert(uvjobs.now() >= due)
      log:add "job"
      turn:wait()
      log:add "job again"
    end)
    in_controller({ job }, function()
      while #log == 0 do cqueues.sleep(0.001) end
      log:add "cqueues"
      turn:set()
    end)
    assert.same({ "job", "cqueues", "job again" }, log)
  end)

  it("in a controller talks to jobs by events, queues and conditions", function()
    local questions, answers, got = uvjobs.queue(), {}, condition.new()
    local job = start(function()
      for question in questions:items() do
        answers[#answers + 1] = question * 2
        got:signal()
      end
      return "closed"
    end)
    in_controller({ job }, function()
      for i = 1, 20 do
        assert(questions:try_put(i))
        while #answers < i do got:wait() end
      end
      questions:close()
    end)
    assert.equal(20, #answers)
    assert.equal(40, answers[20])
    assert.equal("closed", job:wait())
  end)

  it("in a controller starts jobs, and cancels them", function()
    local first = start(uvjobs.sleep, 60)
    local second
    in_controller({ first }, function()
      second = start(uvjobs.yield)
      while not second.closed do cqueues.poll(0.001) end
      first:cancel()
    end)
    assert.equal("done", second.state)
    assert.equal("cancelled", first.state)
  end)

  it("in a controller drives luv's sockets, too", function()
    local server, serving = serve()
    local ticks = 0
    local client = start(function()
      local answer = talk(server, "over luv")
      server:close()
      return answer
    end)
    in_controller({ client, serving }, function()
      for _ = 1, 3 do
        cqueues.sleep(0.001)
        ticks = ticks + 1
      end
    end)
    assert.equal("OVER LUV", client:wait())
    assert.equal(3, ticks)
  end)

  it("in a controller is not kept awake by a job that sleeps", function()
    local controller = cqueues.new()
    local job = start(function() uvjobs.sleep(0.05) end)
    local steps, rounds = nil, 0
    controller:wrap(function() steps = drive(job) end)
    while not controller:empty() do
      assert(controller:step())
      rounds = rounds + 1
    end
    controller:close()
    assert.is_true(steps <= 4, steps)
    assert.is_true(rounds <= 10, rounds)
  end)

  it("may be one coroutine of a host today and another tomorrow", function()
    local job = start(function()
      for _ = 1, 4 do uvjobs.yield() end
    end)
    for _ = 1, 5 do coroutine.wrap(step)() end
    assert.equal("done", job.state)
  end)

  -- ---- one after the other -------------------------------------------------------------

  it("hands the same jobs on to the next host", function()
    local who, log = nil, helper.log()
    local event, moved = uvjobs.event(), uvjobs.event()
    local job = start(function()
      for _ = 1, 5 do
        event:wait()
        event:clear()
        uvjobs.sleep(0.001)
        uv.fs_stat "."
        log:add(who)
        moved:set()
      end
    end)
    local function part(name, host)
      who = name
      moved:clear()
      event:set()
      host(start(function() moved:wait() end))
      assert.equal(name, log[#log])
    end
    local function by_luv()
      local _ <close> = uvjobs.attach(luv)
      start(function()
        moved:wait()
        luv.stop()
      end)
      luv.run()
    end
    part("poll", drive)
    part("luv", by_luv)
    part("cqueues", function(waiting) in_controller({ waiting }) end)
    part("luv again", by_luv)
    part("frames", function(waiting)
      while not waiting.closed do step() end
    end)
    settle()
    assert.same({ "poll", "luv", "cqueues", "luv again", "frames" }, log)
    assert.equal("done", job.state)
  end)
end)
