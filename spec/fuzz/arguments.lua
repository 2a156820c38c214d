-- Calls every function of the module with arguments of every type, in every place
-- of a program: no script may crash the process through the module. Each seed makes one
-- program. Child processes run the programs, several in each, so that the parent can say which
-- seed has crashed.
--
-- Usage: lua5.4 spec/fuzz/arguments.lua [options] [seconds]
--   -n FIRST LAST  plays these seeds, instead of new ones for so many seconds
--   -s SEED [LAST] plays the seed, or all seeds from SEED to LAST, in this process, and prints
--                  each call before it is made (with -q it does not print them)
--   -i             calls the internal functions, too: those of `require "uvjobs.core"` and of
--                  metatables that only debug.getregistry() has. They trust their callers.
-- A program finds what earlier programs of its process have left behind. When a seed does not
-- fail alone, give the first seed of its process and the seed itself. The exit status is 1 when
-- there was a finding. Programs that do not end are listed, since some have a reason.
--
-- SIGINT and SIGTERM end it. The runs of some seeds take these signals: then the signal ends that
-- run first, within its close timeouts, and the exit status is 130 or 143.
--
-- The programs do not damage C functions by debug.setupvalue, or by debug.setlocal on their
-- stack, or loops by debug.setlocal on what Lua keeps for them, and do not take entries of uvjobs
-- out of the registry: that breaks Lua itself, or its own library, too.

local here = arg[0]:match "^(.*)/" or "."
package.path = ("%s/../../?.lua;%s"):format(here, package.path)

local process = require "spec.process"

local BATCH <const> = 30 -- seeds in a process
local TIME_LIMIT <const> = 600 -- seconds for one of them: only one that hangs takes longer

local function parse(args)
  local options, i = { seconds = 60 }, 1
  local function number()
    i = i + 1
    return assert(math.tointeger(args[i]), "a seed is missing")
  end
  while args[i] do
    if args[i] == "-n" then
      options.first, options.last = number(), number()
    elseif args[i] == "-s" then
      options.seed = number()
      options.last = math.tointeger(args[i + 1] or "") and number() or options.seed
    elseif args[i] == "-i" then
      options.internal = true
    elseif args[i] == "-q" then
      options.quiet = true
    else
      options.seconds = assert(tonumber(args[i]), "usage: see the beginning of the file")
    end
    i = i + 1
  end
  return options
end

-- ---- in a child --------------------------------------------------------------------------

local function say(format, ...)
  io.stdout:write("@", (format:format(...):gsub("\n", "\n ")), "\n")
  io.stdout:flush()
end

local function ignore() end

local function play_seeds(options)
  io.stdout:setvbuf(options.quiet and "full" or "no")
  package.path = here .. "/?.lua;" .. package.path
  local uvjobs = require "uvjobs"
  local places = require "arguments_places"
  local program = require "arguments_program"
  local values = require "arguments_values"
  local has_uv, uv = pcall(require, "luv")
  local random = math.random

  -- An attachment that stays open would keep the next seeds from running.
  local attach, attachments, close_attachment = uvjobs.attach, {}, nil
  function uvjobs.attach(...)
    local attached = attach(...)
    attachments[#attachments + 1] = attached
    return attached
  end

  local example = {}
  for _, o in ipairs(places.new_objects { made = 1e9, targets = {} }) do
    example[o[1]] = example[o[1]] or o[2]
  end
  if has_uv then
    local attached = uvjobs.attach(uv)
    attached:close()
    example.attachment = attached
    close_attachment = attached.close
  end
  local foreign = { [coroutine.running()] = true }
  if has_uv then
    local timer = uv.new_timer()
    timer:start(0, 0, function()
      foreign[coroutine.running()] = true
      timer:close()
    end)
    uv.run()
  end
  local targets, covered = program.find_targets(example, options.internal), {}

  -- Messages of Lua name the variable through which a function was called. In these variables the
  -- module keeps functions of the program: dump() calls its argument `write`.
  local names = { fn = true, write = true }
  for _, target in ipairs(targets) do names[target.short] = true end

  local function violation(format, ...)
    say("violation " .. format, ...)
  end

  local function new_world()
    local world = { calls = 60, made = 0, count = 0, threads = {}, targets = targets,
      uv = has_uv and uv, violation = violation,
      internal = options.internal, names = names }
    local objects
    local timers = {} -- of luv

    function world.forget()
      objects, world.threads, timers = {}, {}, {}
    end

    --- A timer of luv. It is kept until the end: where the stack of C calls is full, Lua frees what
    --- it collects without calling its finalizer, and luv's frees the timer.
    function world.new_timer()
      local timer = uv.new_timer()
      timers[#timers + 1] = timer
      return timer
    end

    --- Keeps a value for later calls. When there are many, it replaces another value.
    function world.keep(value, kind)
      local meta = debug.getmetatable(value)
      if type(value) == "thread" then
        world.threads[#world.threads < 8 and #world.threads + 1 or random(8)] = value
      elseif type(value) == "table" and meta == debug.getmetatable(example.attachment) then
        kind = "attachment"
      elseif type(value) == "userdata" and meta and not kind then
        kind = tostring(rawget(meta, "__name")):lower():match "^uvjobs%.(%a+)$"
      end
      if kind and value ~= nil then
        local list = objects[kind] or {}
        objects[kind] = list
        list[#list < 8 and #list + 1 or random(8)] = value
      end
    end

    --- Returns an object of this kind, or of any kind when none is given, and its kind.
    function world.object(kind)
      kind = kind or values.pick(values.sorted_keys(example))
      local list = objects[kind]
      if list and #list > 0 and random(10) > 1 then return values.pick(list), kind end
      return example[kind], kind
    end

    function world.cover(name, position, kind)
      local key = ("%s %d %s"):format(name, position, kind)
      if not covered[key] then
        covered[key] = true
        say("cover %s", key)
      end
    end

    function world.is_foreign(thread) return foreign[thread] end

    function world.exit()
      say "exit"
      os.exit(7, true)
    end

    if not options.quiet then
      function world.trace(format, ...) io.stdout:write("  ", format:format(...), "\n") end
    end
    world.forget()
    world.act = program.new_act(world)
    return world
  end

  -- On the real clock a job may wait for ever, so it is killed when it does not end soon.
  local function play_main(world)
    local n = random(2, 6)
    if not world.real then return places.play(world, n) end
    local scheduler = uvjobs.scheduler { close_timeout = 0.02 }
    local job = scheduler:spawn(places.play, world, n)
    pcall(job.join, job, 0.05)
    pcall(job.close, job, 0.02)
  end

  -- The programs catch the error by which a signal ends the main job. So each main job finds out
  -- at its end whether a signal has cancelled it. A signal that comes while the run closes the
  -- jobs that are left cannot be noticed: this is one reason why few runs take signals.
  local STATUS <const> = { SIGINT = 130, SIGTERM = 143 }

  local function end_by_signal(err)
    local status = uvjobs.code(err) and STATUS[err.signal]
    if not status then return end
    say("signal %s", err.signal)
    os.exit(status)
  end

  local function main(world)
    play_main(world)
    local _, err = pcall(uvjobs.yield)
    world.end_error = err
  end

  -- Jobs that were started outside of a run end on the real clock.
  local function end_all()
    for i = #attachments, 1, -1 do
      pcall(close_attachment, attachments[i]) -- its fields may have been set
      attachments[i] = nil
    end
    pcall(uvjobs.run, { signals = false }, ignore)
  end

  local function run(world)
    local options_of_run = values.options(world, "run")
    options_of_run.clock = world.real and "real" or "virtual"
    if random(8) > 1 then options_of_run.signals = false end
    local ok, err = pcall(uvjobs.run, options_of_run, main, world)
    end_by_signal(ok and world.end_error or err)
    if not ok then program.check_error({ name = "run" }, err, world) end
  end

  local function clean_up(world)
    world.calls, world.made = 0, 1e9
    debug.sethook()
    end_all()
    uvjobs.debug(false)
    world.forget()
    collectgarbage "incremental"
    collectgarbage()
    if has_uv then
      uv.walk(function(handle) if not handle:is_closing() then handle:close() end end)
      uv.run "nowait"
    end
  end

  local function check_module()
    if uvjobs.current() then violation "a job runs, outside of run" end
    local ok, result = pcall(uvjobs.run, { clock = "virtual", signals = false }, function()
      uvjobs.sleep(1)
      return 42
    end)
    if not ok or result ~= 42 then violation("a new run gives %s", tostring(result)) end
    local stats = uvjobs.stats()
    for _, name in ipairs { "live", "ready", "timers" } do
      if stats[name] ~= 0 then violation("%d jobs are left: %s", stats[name], name) end
    end
  end

  for seed = options.seed, options.last do
    say("seed %d", seed)
    math.randomseed(seed, 1)
    local world = new_world()
    world.real = random(8) == 1
    if random(60) == 1 then world.exit_at = random(50) end
    places.play(world, random(0, 2))
    if not world.real and uvjobs.stats().timers > 0 then end_all() end
    run(world)
    places.play(world, random(0, 2))
    clean_up(world)
    check_module()
    say("calls %d", world.count)
  end
  say "done"
end

-- ---- the parent ----------------------------------------------------------------------------

-- LD_PRELOAD names the library of a sanitizer: only the child loads it, and not the shell and
-- the `timeout` that start the child.
local function command(options, first, last, errors)
  local preload = os.getenv "LD_PRELOAD"
  return ("env -u LD_PRELOAD timeout -s KILL %d env %s %s %s %s -q -s %d %d 2>%s </dev/null")
    :format(TIME_LIMIT, preload and "LD_PRELOAD=" .. process.quote(preload) or "",
      process.quote(process.interpreter()), process.quote(arg[0]),
      options.internal and "-i" or "", first, last, errors)
end

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "a"
  file:close()
  return text
end

local function report(totals, first, seed, what, errors)
  local text = what:gsub("%d+", "N")
  totals.findings = totals.findings + 1
  totals.known[text] = (totals.known[text] or 0) + 1
  if totals.known[text] > 3 then return end
  local cut = errors:find("[^\n]*ERROR: %a+Sanitizer") or errors:find("[^\n]*runtime error:")
    or math.max(1, #errors - 3000)
  print(("arguments: seed %d (of the process that began with %d): %s\n%s")
    :format(seed, first, what, errors:sub(cut, cut + 4000)))
end

--- Plays seeds in a child. Returns the last one that was played.
local function play_batch(options, first, last, totals)
  local path = os.tmpname()
  local pipe = assert(io.popen(command(options, first, last, path)))
  local seed, ended = first, nil
  for line in pipe:lines() do
    local word, rest = line:match "^@(%a+) ?(.*)"
    if word == "seed" then
      seed = math.tointeger(rest)
      totals.seeds = totals.seeds + 1
    elseif word == "calls" then totals.calls = totals.calls + math.tointeger(rest)
    elseif word == "cover" then totals.covered[rest] = true
    elseif word == "violation" then
      report(totals, first, seed, rest, "")
    elseif word == "exit" or word == "done" then ended = word end
  end
  local _, kind, status = pipe:close()
  local errors = read(path)
  os.remove(path)
  local expected = ended == "exit" and 7 or 0
  local what
  if kind == "exit" and status == 137 then -- a program may be one that does not end
    totals.slow[#totals.slow + 1] = seed
  elseif kind ~= "exit" or status ~= expected or not ended then
    what = ("the process ended with %s %d"):format(kind, status)
  elseif errors:find "Sanitizer" or errors:find "runtime error:" then
    what = "a sanitizer complains"
  end
  if what then report(totals, first, seed, what, errors) end
  return seed
end

local function print_totals(totals, start)
  local functions, combinations = {}, 0
  local count = 0
  for key in next, totals.covered do
    local name = key:match "^(%S+) %d"
    if name and not functions[name] then
      functions[name] = true
      count = count + 1
    end
    combinations = combinations + 1
  end
  print(("arguments: %d seeds, %d calls, %d functions, %d of function, position and kind of value;"
    .. " %d s; %d findings"):format(totals.seeds, totals.calls, count, combinations,
    os.time() - start, totals.findings))
  if #totals.slow > 0 then
    print(("arguments: not ended in %d s: seeds %s"):format(TIME_LIMIT,
      table.concat(totals.slow, ", ")))
  end
end

local function play_all(options)
  local totals = { seeds = 0, calls = 0, findings = 0, covered = {}, known = {}, slow = {} }
  local start = os.time()
  local stop = start + options.seconds
  local first = options.first or start * 1000
  io.stdout:setvbuf "line"
  print(("arguments: from seed %d"):format(first))
  while options.first and first <= options.last or not options.first and os.time() < stop do
    local last = math.min(first + BATCH - 1, options.last or math.maxinteger)
    first = play_batch(options, first, last, totals) + 1
  end
  print_totals(totals, start)
  return totals.findings == 0
end

local options = parse(arg)
if options.seed then
  play_seeds(options)
else
  os.exit(play_all(options), true)
end
