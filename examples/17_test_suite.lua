-- A suite of tests that run side by side, each in a process of its own: at most LIMIT at
-- once, and SECONDS for each. So a test that crashes, exits or never ends costs only
-- itself, and all processors are used. The tests are jobs under the virtual clock, so
-- they wait for hours without taking time.
--
--   script/run examples/17_test_suite.lua [NAME...]
--   uvjobs examples/17_test_suite.lua [NAME...]      with the rock installed
--
-- It prints TAP, and the exit status is 1 when a test failed. The suite is one for a
-- lock-out after wrong passwords; its last tests fail on purpose, each in its own way, and
-- run only by their names or with `--all`. It needs luv (Debian: lua-luv).

local luv = require "luv"
local uvjobs = require "uvjobs"
local testing = require "uvjobs.testing"

local LIMIT = math.max(#(luv.cpu_info() or {}), 1)
local SECONDS = 60

-- ---- what is tested --------------------------------------------------------

--- Returns a function that calls check(password). After three wrong ones in a row it
--- refuses all, for a minute.
local function new_login(check)
  local wrong, locked = 0, uvjobs.event()
  return function(password)
    if locked:is_set() then return nil, "locked" end
    if check(password) then
      wrong = 0
      return true
    end
    wrong = wrong + 1
    if wrong == 3 then
      locked:set()
      uvjobs.current().scheduler:spawn(function()
        uvjobs.sleep(60)
        wrong = 0
        locked:clear()
      end)
    end
    return nil, "wrong"
  end
end

-- ---- the tests -------------------------------------------------------------

local function is_right(password)
  uvjobs.sleep(0.1) -- as if a database were asked
  return password == "sesame"
end

local function equal(expected, got)
  if expected ~= got then error(("expected %s, got %s"):format(expected, got), 2) end
end

--- Runs fn in a scheduler that waits for the jobs of the login.
local function with_login(fn)
  return function()
    local jobs <close> = uvjobs.scheduler()
    jobs:spawn(fn, new_login(is_right)):wait()
  end
end

local tests = {
  { "lets the right password in", with_login(function(login)
    equal(true, login "sesame")
  end) },
  { "locks after three wrong ones", with_login(function(login)
    for _ = 1, 3 do equal("wrong", select(2, login "x")) end
    equal("locked", select(2, login "sesame"))
  end) },
  { "unlocks after a minute", with_login(function(login)
    for _ = 1, 3 do login "x" end
    testing.advance(59)
    equal("locked", select(2, login "sesame"))
    testing.advance(1)
    equal(true, login "sesame")
  end) },
  { "begins to count again after a right one", with_login(function(login)
    for _, password in ipairs { "x", "x", "sesame", "x", "x" } do login(password) end
    equal(true, login "sesame")
  end) },
  { "fails", with_login(function(login) equal("locked", select(2, login "x")) end),
    fails = true },
  { "leaves a job behind", function() uvjobs.scheduler():spawn(uvjobs.sleep, 5) end,
    fails = true },
  { "crashes", function() luv.kill(luv.getpid(), "sigsegv") end, fails = true },
  { "never ends", function() os.execute "sleep 60" end, fails = true,
    seconds = 0.3 },
}

-- ---- the runner ------------------------------------------------------------

--- The interpreter and the script, as they were started.
local function command_line()
  local lowest = 0
  while arg[lowest - 1] do lowest = lowest - 1 end
  return arg[lowest], debug.getinfo(1, "S").source:sub(2)
end

--- Runs a test as a process. Returns nil when it passed, else what happened.
local function run(test)
  local interpreter, script = command_line()
  local result, why, partial, message = uvjobs.exec(interpreter, { script, "--child", test[1] }, {
    timeout = test.seconds or SECONDS, stderr = "stdout", group = true,
  })
  if result and result.ok then return nil end
  local output = (result or partial or { stdout = "" }).stdout
  if why or not result.code then
    message = message or result.message
    output = message:gsub("^'.-' ", "") .. "\n" .. output
  end
  return output:match "[^\n]*"
end

--- Runs the tests whose names are given, or those that pass; prints TAP, in their order.
--- Returns how many failed.
local function run_suite(names)
  local chosen = {}
  for _, test in ipairs(tests) do
    if names[test[1]] or names["--all"] or not next(names) and not test.fails then
      chosen[#chosen + 1] = test
    end
  end
  local failed = 0
  print("1.." .. #chosen)
  local problems = uvjobs.map(chosen, run, { limit = LIMIT })
  for i, test in ipairs(chosen) do
    failed = failed + (problems[i] and 1 or 0)
    print(("%s %d - %s"):format(problems[i] and "not ok" or "ok", i, test[1]))
    if problems[i] then print("# " .. problems[i]) end
  end
  return failed
end

--- What a child does: outside of `run`, because each test is a run of its own.
local function run_child(name)
  for _, test in ipairs(tests) do
    if test[1] == name then
      local ok, err = pcall(testing.wrap(test[2]))
      if not ok then
        print((tostring(err):gsub("^[^%s:]*/", "")))
        os.exit(1)
      end
    end
  end
end

local function main(...)
  local names = {}
  for _, name in ipairs { ... } do names[name] = true end
  if run_suite(names) > 0 then os.exit(1) end
end

if (...) == "--child" then
  run_child(select(2, ...))
elseif uvjobs.current() then -- by the command `uvjobs`
  main(...)
else
  uvjobs.run(main, ...)
end
