-- Programs in which nothing can ever wake anything.

local helper = require "spec.helper"
local uvjobs = require "uvjobs"

local stuck = "^run is stuck: nothing can wake any of these jobs"

--- Runs fn, which gets stuck; returns the message.
local function message_of(fn, options)
  options = options or { clock = "virtual" }
  local ok, err = pcall(uvjobs.run, options, fn)
  assert.is_false(ok, "run ended")
  assert.equal("string", type(err))
  assert.matches(stuck, err)
  return err
end

-- What a main job can wait for in vain, and the words of the message for it.
local waits = {
  { "an event", function() uvjobs.event():wait() end, "waiting for an event" },
  { "an item", function() uvjobs.queue():get() end, "waiting to get from a queue" },
  { "a place", function() uvjobs.queue(0):put(1) end, "waiting to put into a queue" },
  { "a permit", function()
    local sem = uvjobs.semaphore(1)
    sem:acquire()
    sem:acquire()
  end, "waiting for a semaphore" },
  { "a callback", function() uvjobs.await(function() end) end, "in await" },
  { "a job", function()
    uvjobs.scheduler():spawn(function() uvjobs.event():wait() end):wait()
  end, "waiting for a job" },
  { "a shielded function", function()
    uvjobs.scheduler():shield(function() uvjobs.event():wait() end)
  end, "in shield" },
  { "a slot", function()
    local s = uvjobs.scheduler { limit = 1, pending_limit = 0 }
    s:spawn(function() uvjobs.event():wait() end)
    s:spawn(print)
  end, "in spawn" },
  { "a mutex", function()
    local mutex = uvjobs.mutex()
    uvjobs.scheduler():spawn(mutex.with, mutex, uvjobs.await, function() end)
    uvjobs.yield()
    mutex:lock()
  end, "waiting for a mutex" },
  { "its children", function()
    uvjobs.all { function() uvjobs.event():wait() end, function() uvjobs.queue():get() end }
  end, "waiting for a scheduler" },
}

describe("a run that is stuck", function()
  after_each(helper.check_clean)

  for _, wait in ipairs(waits) do
    it("waiting for " .. wait[1] .. " raises an error that says so", function()
      local message = message_of(wait[2])
      assert.matches("uvjobs.Job: #%d+ \"main\" active, " .. wait[3], message)
    end)
  end

  it("is found under the real clock, too, and at once", function()
    local start = uvjobs.now()
    message_of(function() uvjobs.event():wait() end, { clock = "real" })
    message_of(function() uvjobs.event():wait() end, { clock = "real", signals = false })
    assert.is_true(uvjobs.now() - start < 60)
  end)

  it("is found as soon as the last deadline has passed, not before", function()
    local at
    message_of(function()
      local s, event = uvjobs.scheduler(), uvjobs.event()
      s:spawn(uvjobs.sleep, 5)
      local _ <close> = setmetatable({}, { __close = function() at = uvjobs.now() end })
      event:wait(3)
      event:wait()
    end)
    assert.equal(5, at)
  end)

  it("lists every suspended job with its stack and what it waits for", function()
    local message = message_of(function()
      local s = uvjobs.scheduler { limit = 3 }
      local q, event = uvjobs.queue(), uvjobs.event()
      s:spawn({ name = "getter" }, function() q:get() end)
      local waiting = s:spawn({ name = "waiter" }, function() event:wait() end)
      s:spawn({ name = "third" }, waiting.wait, waiting)
      s:spawn({ name = "late" }, print)
      s:shield(function() uvjobs.await(function() end) end)
    end)
    assert.matches('#%d+ "main" active, in shield', message)
    assert.matches('#%d+ "getter" active, waiting to get from a queue', message)
    assert.matches('#%d+ "waiter" active, waiting for an event', message)
    assert.matches('#%d+ "third" active, waiting for a job, #%d+', message)
    assert.matches('#%d+ "late" pending', message)
    assert.matches("#%d+ active, in await", message)
    local _, frames = message:gsub("in function <spec/run/stuck_spec.lua:%d+>", "")
    assert.equal(4, frames)
    assert.is_nil(message:find("spawned at", 1, true))
  end)

  it("says in debug mode where each job was spawned", function()
    local function give_birth(s, ...) return s:spawn(...) end
    uvjobs.debug(true)
    local ok, message = pcall(message_of, function()
      local event = uvjobs.event()
      give_birth(uvjobs.scheduler(), event.wait, event):wait()
    end)
    uvjobs.debug(false)
    assert.is_true(ok, message)
    assert.matches("spawned at", message)
    assert.matches("give_birth", message)
  end)

  it("unwinds its jobs: their <close> variables run #M7", function()
    local log = helper.log()
    local function noting(name)
      return setmetatable({}, { __close = function(_, err)
        log:add(name .. " " .. tostring(uvjobs.code(err)))
      end })
    end
    message_of(function()
      local _ <close> = noting "main"
      local event = uvjobs.event()
      uvjobs.scheduler():spawn(function()
        local _ <close> = noting "child"
        event:wait()
      end)
      event:wait()
    end)
    table.sort(log)
    assert.same({ "child cancelled", "main cancelled" }, { table.unpack(log) })
  end)

  it("raises that error though its main job goes on and returns", function()
    local ended
    message_of(function()
      pcall(function() uvjobs.event():wait() end)
      ended = true
    end)
    assert.is_true(ended)
  end)

  it("ends though its main job is protected", function()
    local child = helper.child([[
      local uvjobs = require "uvjobs"
      local ok, err = pcall(uvjobs.run, uvjobs.protect, function() uvjobs.event():wait() end)
      io.write(tostring(ok), " ", err)]])
    assert.equal(0, child.status)
    assert.matches("^false run is stuck", child.out)
  end)

  it("ends though a job that is not main is protected, after its close timeout", function()
    local job
    message_of(function()
      local s = helper.quiet { close_timeout = 1 }
      job = s:spawn(uvjobs.protect, function() uvjobs.event():wait() end)
      uvjobs.event():wait()
    end)
    assert.equal("killed", job.state)
  end)

  it("is followed by one that is not", function()
    message_of(function() uvjobs.event():wait() end)
    assert.equal("fine", helper.virtual(function() uvjobs.sleep(1); return "fine" end))
  end)

  it("names the error on standard error when the command runs it", function()
    local child = helper.child([[
      local uvjobs = require "uvjobs"
      uvjobs.run(function() uvjobs.queue():get() end)]])
    assert.equal(1, child.status)
    assert.matches("run is stuck: nothing can wake any of these jobs", child.err)
    assert.matches("waiting to get from a queue", child.err)
  end)
end)

describe("a run is not stuck", function()
  after_each(helper.check_clean)

  it("while a timer of a job is pending", function()
    helper.virtual(function()
      local s, event = uvjobs.scheduler(), uvjobs.event()
      s:spawn(function() uvjobs.sleep(1e6); event:set() end)
      assert.is_true(event:wait())
      assert.is_nil((uvjobs.event():wait(1e6)))
      helper.raises("timeout", uvjobs.timeout, 1e6, uvjobs.await, function() end)
      s:wait_and_close()
      assert.equal(3e6, uvjobs.now())
    end)
  end)

  it("while a job is ready", function()
    helper.virtual(function()
      local s, event = uvjobs.scheduler(), uvjobs.event()
      s:spawn(function() helper.yield(1000); event:set() end)
      assert.is_true(event:wait())
      s:wait_and_close()
    end)
  end)

  it("when its jobs that nobody will wake are not waited for", function()
    helper.virtual(function()
      uvjobs.scheduler():spawn(function() uvjobs.event():wait() end)
      uvjobs.sleep(1)
    end)
    assert.is_nil(uvjobs.current())
  end)
end)

local with_luv = package.searchpath("luv", package.cpath) and describe or pending

-- Each runs in a process of its own, so that nothing of luv is left for the other specs.
with_luv("a run that uses luv is not stuck", function()
  local function output_of(body)
    local child = helper.child([[
      local uvjobs, luv = require "uvjobs", require "luv"
      for _, clock in ipairs { "real", "virtual" } do
        uvjobs.run({ clock = clock }, function() ]] .. body .. [[ end)
      end]])
    assert.equal("", child.err)
    assert.equal(0, child.status)
    return child.out
  end

  it("while a timer of luv is pending", function()
    assert.equal("wokenwoken", output_of [[
      local event, timer = uvjobs.event(), luv.new_timer()
      timer:start(20, 0, function() timer:close(); event:set() end)
      event:wait()
      io.write("woken") ]])
  end)

  it("while I/O of luv is pending", function()
    assert.equal("hellohello", output_of [[
      local fds = luv.pipe()
      local from, to, q = luv.new_pipe(), luv.new_pipe(), uvjobs.queue()
      from:open(fds.read)
      to:open(fds.write)
      from:read_start(function(_, data) if data then q:try_put(data) end end)
      local timer = luv.new_timer()
      timer:start(20, 0, function() timer:close(); to:write("hello") end)
      io.write((q:get()))
      from:close()
      to:close() ]])
  end)

  it("while a signal watcher of the user's is started, though nothing else is", function()
    assert.equal("sigusr1sigusr1", output_of [[
      local event, watcher = uvjobs.event(), luv.new_signal()
      watcher:start("sigusr1", function(name) watcher:close(); io.write(name); event:set() end)
      local kill = ("(sleep 0.2; kill -USR1 %d) >/dev/null 2>&1 &"):format(luv.os_getpid())
      os.execute(kill)
      event:wait() ]])
  end)

  it("but is when the last handle of luv was closed", function()
    local child = helper.child([[
      local uvjobs, luv = require "uvjobs", require "luv"
      local ok, err = pcall(uvjobs.run, function()
        local timer = luv.new_timer()
        timer:start(20, 0, function() timer:close() end)
        uvjobs.event():wait()
      end)
      io.write(tostring(ok), " ", err)]])
    assert.equal("", child.err)
    assert.equal(0, child.status)
    assert.matches("^false run is stuck", child.out)
  end)
end)

describe("a run", function()
  it("that is stuck ends, though a scheduler's close timeout never does", function()
    for _, clock in ipairs { "real", "virtual" } do
      local r = helper.child(([[
        local uvjobs = require "uvjobs"
        local job
        local ok, err = pcall(uvjobs.run, { clock = "%s" }, function()
          local s = uvjobs.scheduler { close_timeout = 1e18, exception_handler = function() end }
          job = s:spawn(uvjobs.protect, function() uvjobs.event():wait() end)
          uvjobs.yield()
          if "%s" == "virtual" then uvjobs.event():wait() end
        end)
        io.write(tostring(ok), " ", job.state, " ", err)
      ]]):format(clock, clock))
      assert.equal(0, r.status)
      assert.equal("", r.err)
      assert.matches("^false killed run is stuck: nothing can wake any of these jobs\n", r.out)
    end
  end)
end)
