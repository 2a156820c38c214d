-- Random programs of jobs, checked against the promises of docs/model.md:
--
--   lua5.4 spec/fuzz/programs.lua [seconds]          new seeds for so long (10)
--   lua5.4 spec/fuzz/programs.lua -n COUNT [-f FIRST]   so many seeds
--   lua5.4 spec/fuzz/programs.lua -s SEED [-w]       one, with its text and trace;
--                                                    -w: whole, not made smaller
--
-- When a program breaks a promise, a smaller one that breaks it in the same way is printed, and
-- the exit status is 1. -v prints each seed before it runs; -k goes on after a failure and counts
-- them.
-- Run it in the project's directory.

local check = require "spec.fuzz.programs_check"

local options = { f = 1 }
local i = 1
while arg[i] do
  local name = arg[i]:match("^%-([snf])$")
  if name then
    i = i + 1
    options[name] = assert(math.tointeger(tonumber(arg[i])), "a number expected")
  elseif arg[i]:match("^%-[vwk]$") then
    options[arg[i]:sub(2)] = true
  else
    options.seconds = assert(tonumber(arg[i]), "unknown option")
  end
  i = i + 1
end

if options.s then
  local program = check.tree.program(options.s)
  local broken, trace = check.program(program, true)
  if broken then
    print(check.report(options.s, not options.w))
    os.exit(1)
  end
  print(check.text_of(program))
  print(table.concat(trace, "\n"))
  os.exit(0)
end

local first = options.f
local stop = not options.n and os.time() + (options.seconds or 10)
if stop and not arg[1] then first = os.time() * 1000 end

local seed, failed, kinds = first, 0, {}
while options.n and seed < first + options.n or stop and os.time() < stop do
  if options.v then io.stderr:write("seed ", seed, "\n") end
  local broken = check.seed(seed)
  if broken then
    failed = failed + 1
    local kind = broken:gsub("%d+", "N")
    kinds[kind] = kinds[kind] or {}
    table.insert(kinds[kind], seed)
    if not options.k then
      print(check.report(seed, true))
      os.exit(1)
    end
  end
  seed = seed + 1
end
print(("%d programs, seeds %d to %d: %d failed"):format(seed - first, first, seed - 1, failed))
for kind, seeds in pairs(kinds) do
  print(("%5d %s: %s"):format(#seeds, kind, table.concat(seeds, " ", 1, math.min(#seeds, 6))))
end
os.exit(failed == 0)
