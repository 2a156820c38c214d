-- Others run on top of a job that is busy where Lua cannot yield: how that ends, beside I/O and in
-- other loops.
debug.sethook() -- makes a table in the registry, the first time

local luv = require "luv"
local uvjobs = require "uvjobs"
local uv = require "uvjobs.uv"
local job_coroutine = require "uvjobs.coroutine"
local helper = require "spec.helper"

local function sorted(fn)
  local result
  table.sort({ 2, 1 }, function()
    if result == nil then result = fn() end
    return false
  end)
  return result
end

local function until_true(flag)
  while not flag.done do end
  return "done"
end

describe("on top of a busy job", function()
  after_each(helper.check_clean)

  it("there is I/O: timers of luv, processes, functions in threads", helper.in_run(function()
    local jobs <close> = uvjobs.scheduler { timeslice = 0.001 }
    local flag, ticks = {}, 0
    local timer <close> = uv.new_timer()
    timer:start(1, 1, function() ticks = ticks + 1 end)
    local busy = jobs:spawn(function() return sorted(function() return until_true(flag) end) end)
    assert.equal("text\n", uvjobs.exec("echo", { "text" }).stdout)
    assert.equal(7, uvjobs.work(function() return 7 end))
    while ticks < 5 do uvjobs.sleep(0.001) end
    assert.equal("active", busy.state)
    flag.done = true
    assert.equal("done", busy:wait())
  end))

  it("an error of a callback makes its job fail, and no other", helper.in_run(function()
    local jobs <close> = helper.quiet { timeslice = 0.001 }
    local flag = {}
    local busy = jobs:spawn(function() return sorted(function() return until_true(flag) end) end)
    local failing = jobs:spawn(function()
      local timer <close> = uv.new_timer()
      timer:start(1, 0, function() error("in a callback", 0) end)
      uvjobs.sleep(60)
    end)
    assert.same({ false, "in a callback" }, { pcall(failing.wait, failing) })
    assert.equal("active", busy.state)
    flag.done = true
    assert.equal("done", busy:wait())
  end))

  it("jobs run in a program that is attached to luv's loop", function()
    local _ <close> = uvjobs.attach(luv)
    local flag, ticks, got = {}, 0, nil
    uvjobs.start(function()
      local jobs <close> = uvjobs.scheduler { timeslice = 0.001 }
      local busy = jobs:spawn(function() return sorted(function() return until_true(flag) end) end)
      for _ = 1, 5 do uvjobs.sleep(0.001) ticks = ticks + 1 end
      flag.done = true
      got = busy:wait()
    end)
    luv.run()
    assert.same({ "done", 5 }, { got, ticks })
  end)

  it("jobs run in a program that calls step", function()
    local flag, ticks, got, refused = {}, 0, nil, nil
    uvjobs.start(function()
      local jobs <close> = uvjobs.scheduler { timeslice = 0.001 }
      local busy = jobs:spawn(function() return sorted(function() return until_true(flag) end) end)
      for _ = 1, 5 do uvjobs.sleep(0.001) ticks = ticks + 1 end
      refused = helper.message(uvjobs.step)
      flag.done = true
      got = busy:wait()
    end)
    while not got do uvjobs.step() end
    assert.same({ "done", 5 }, { got, ticks })
    assert.equal("'step' cannot be called while the loop runs", refused)
  end)

  it("nobody resumes or closes its coroutines", helper.in_run(function()
    local jobs <close> = uvjobs.scheduler { timeslice = 0.001 }
    local flag, co = {}, nil
    local busy = jobs:spawn(function()
      co = coroutine.create(until_true)
      return select(2, coroutine.resume(co, flag))
    end)
    while busy.preemptions == 0 do uvjobs.yield() end
    for _, library in ipairs { coroutine, job_coroutine } do
      assert.equal("normal", library.status(co))
      assert.same({ false, "cannot resume non-suspended coroutine" }, { library.resume(co) })
      assert.equal("cannot close a normal coroutine", helper.message(library.close, co))
    end
    flag.done = true
    assert.equal("done", busy:wait())
    assert.equal("dead", coroutine.status(co))
  end))

  it("a debug hook of its own goes on afterwards", helper.in_run(function()
    local jobs <close> = uvjobs.scheduler { timeslice = 0.001 }
    for _, mask in ipairs { "", "l", "crl" } do
      local flag, seen = {}, 0
      local busy = jobs:spawn(function()
        debug.sethook(function() seen = seen + 1 end, mask, mask == "" and 1 or 0)
        local result = sorted(function() return until_true(flag) end)
        return result, debug.gethook() ~= nil
      end)
      while busy.preemptions < 3 do uvjobs.yield() end
      local before = seen
      while busy.preemptions < 6 do uvjobs.yield() end
      flag.done = true
      assert.same({ "done", true }, { busy:wait() })
      assert.is_true(seen > before)
    end
  end))

  it("there may be stack overflows", helper.in_run(function()
    local jobs = uvjobs.scheduler { timeslice = 0.001 }
    local function overflows()
      local function deeper() table.sort({ 2, 1 }, function() deeper() return true end) end
      local ok, err = pcall(deeper)
      assert(not ok)
      assert.matches("stack overflow", err)
    end
    for _ = 1, 20 do
      jobs:spawn(function() sorted(function() for _ = 1, 20 do overflows() end return 1 end) end)
    end
    jobs:wait_and_close()
  end))

  it("others run in time that is not counted as the job's", function()
    uvjobs.run({ stats = true }, function()
      local jobs <close> = uvjobs.scheduler { timeslice = 0.001 }
      local flag, start = {}, uvjobs.now()
      local busy = jobs:spawn(function() return sorted(function() return until_true(flag) end) end)
      local other = jobs:spawn(function()
        while not flag.done do helper.burn(0.0005) uvjobs.yield() end
      end)
      while other.cpu_time < 0.01 or busy.cpu_time < 0.01 do uvjobs.yield() end
      flag.done = true
      busy:wait()
      assert.is_true(busy.cpu_time + other.cpu_time <= uvjobs.now() - start)
    end)
  end)
end)

describe("the functions of coroutine", function()
  it("that somebody else has replaced stay; Lua's own are tracked", function()
    local r = helper.child [[
      local wrap, made = coroutine.wrap, 0
      local own = { create = coroutine.create, resume = coroutine.resume, close = coroutine.close }
      local function counted(fn) made = made + 1 return wrap(fn) end
      coroutine.wrap = counted
      local uvjobs = require "uvjobs"
      print(coroutine.wrap == counted, coroutine.create == own.create,
        coroutine.resume == own.resume, coroutine.close == own.close)
      uvjobs.run(function()
        local jobs <close> = uvjobs.scheduler { timeslice = 0.001 }
        local done = false
        local job = jobs:spawn(function()
          local co = coroutine.create(function() while not done do end return "done" end)
          return coroutine.wrap(function() return 7 end)(), select(2, coroutine.resume(co))
        end)
        uvjobs.sleep(0.01)
        done = true
        print(made, job:wait())
      end)
    ]]
    assert.same({ status = 0, err = "", out = "true\ttrue\tfalse\tfalse\n1\t7\tdone\n" }, r)
  end)
end)

describe("the functions of coroutine in the place of Lua's own", function()
  it("name bad arguments like those, and show the coroutine of wrap() as those do", function()
    local r = helper.child [[
      local function uses()
        local list = {}
        for _, name in ipairs { "resume", "wrap", "close" } do
          for _, value in ipairs { 1, "x", {}, print == nil } do
            list[#list + 1] = select(2, pcall(coroutine[name], value))
          end
          list[#list + 1] = select(2, pcall(coroutine[name], nil))
        end
        list[#list + 1] = select(2, pcall(coroutine.resume))
        local own = nil
        local wrapped = coroutine.wrap(function() own = coroutine.running() coroutine.yield() end)
        wrapped()
        local _, shown = debug.getupvalue(wrapped, 1)
        list[#list + 1] = tostring(shown == own)
        return table.concat(list, "\n")
      end
      local expected, resume = uses(), coroutine.resume
      require "uvjobs"
      print(resume ~= coroutine.resume, uses() == expected or uses())
    ]]
    assert.same({ status = 0, err = "", out = "true\ttrue\n" }, r)
  end)
end)

describe("the end of a program with jobs on top of each other", function()
  local PRELUDE <const> = [[
    local uvjobs = require "uvjobs"
    io.stdout:setvbuf("no")
    local function closing(name)
      return setmetatable({}, { __close = function() print(name) end })
    end
    local function sorted(fn) table.sort({ 2, 1 }, function() return fn() end) end
    -- The one error that it gets before it is killed can come between two calls of pcall.
    local function stubborn(n)
      if n == 0 then while true do pcall(error) end end
      while true do pcall(sorted, function() stubborn(n - 1) end) end
    end
    local started, all_started = 0, nil
    local function job()
      started = started + 1
      local _ <close> = started == 3 and all_started and all_started() or nil
      stubborn(3)
    end
  ]]

  it("by os.exit closes the variables of all, the innermost first #M14", function()
    local r = helper.child(PRELUDE .. [[
      uvjobs.run(function()
        local jobs = uvjobs.scheduler { timeslice = 0.001 }
        local function busy(name)
          return jobs:spawn(function()
            local _ <close> = closing(name)
            require "uvjobs.coroutine".wrap(function()
              local _ <close> = closing(name .. " in a coroutine")
              sorted(function() while true do end end)
            end)()
          end)
        end
        local a = busy "a"
        while a.preemptions == 0 do uvjobs.yield() end
        local b = busy "b"
        while b.preemptions == 0 do uvjobs.yield() end
        local _ <close> = closing "main"
        os.exit(3, true)
      end)
    ]])
    assert.same({ status = 3, err = "",
      out = "main\nb in a coroutine\nb\na in a coroutine\na\n" }, r)
  end)

  it("by uvjobs.exit comes within the close timeouts", function()
    local r = helper.child(PRELUDE .. [[
      uvjobs.run(function()
        local jobs = uvjobs.scheduler { timeslice = 0.001, close_timeout = 0.05,
          exception_handler = function(_, context) print(context.message) end }
        for _ = 1, 3 do jobs:spawn(job) end
        while started < 3 do uvjobs.sleep(0.001) end
        jobs:spawn(function() uvjobs.exit(5) end)
        uvjobs.sleep(60)
      end)
    ]])
    assert.same({ status = 5, err = "", out = ("Job closing timed out\n"):rep(3) }, r)
  end)

  it("by a signal comes also when the main job is the one below #M8", function()
    local r = helper.child(PRELUDE .. [[
      local pid = io.open("/proc/self/stat"):read("n")
      local ok, err = pcall(uvjobs.run, { timeslice = 0.001, close_timeout = 0.1 }, function()
        local jobs = uvjobs.scheduler { timeslice = 0.001, close_timeout = 0.05,
          exception_handler = function(_, context) print(context.message) end }
        for _ = 1, 3 do jobs:spawn(job) end
        function all_started()
          return io.popen(("sleep 0.05; kill -TERM %d 2>/dev/null"):format(pid))
        end
        stubborn(3)
      end)
      print(ok, uvjobs.code(err), err.signal)
    ]])
    assert.equal(("Job closing timed out\n"):rep(3) .. "false\tkilled\tSIGTERM\n", r.out)
    assert.equal(0, r.status)
  end)

  it("by a signal comes while a coroutine of Lua's own is busy, without slices", function()
    local r = helper.child(PRELUDE .. [[
      local pid = io.open("/proc/self/stat"):read("n")
      local ok, err = pcall(uvjobs.run, function()
        local jobs <close> = uvjobs.scheduler { close_timeout = 0.05, exception_handler = type }
        jobs:spawn(function()
          local _ <close> = io.popen(("sleep 0.05; kill -TERM %d 2>/dev/null"):format(pid))
          coroutine.wrap(function() while true do pcall(error) end end)()
        end)
        uvjobs.sleep(60)
      end)
      print(ok, uvjobs.code(err), err.signal)
    ]])
    assert.same({ status = 0, err = "", out = "false\tcancelled\tSIGTERM\n" }, r)
  end)
end)
