--- What the measuring programs of this directory share. Each is run as
---   lua5.4 bench/NAME.lua SIDE [N]
--- and prints one line of numbers: the cost of one operation on that side. It
--- measures one thing and ends: nothing of one measurement is left for another.

local common = {}

--- The directory of the program, to load files beside it.
common.dir = arg[0]:match("^(.*/)") or "./"

--- Loads a C module of `peers` that bench/run has built.
function common.require_built(name)
  package.cpath = common.dir .. "../build/bench/?.so;" .. package.cpath
  return require(name)
end

--- Work for monitor.lua and insight.lua: two jobs send each other `n` items, over
--- queues of capacity 1. It is called in a job.
function common.exchange(uvjobs, n, options)
  local there, back = uvjobs.queue(1), uvjobs.queue(1)
  local jobs <close> = uvjobs.scheduler(options)
  jobs:spawn(function()
    for item in there:items() do back:put(item) end
  end)
  jobs:spawn(function()
    for i = 1, n do
      there:put(i)
      back:get()
    end
    there:close()
  end)
end

local function names_of(sides)
  local names = {}
  for name in pairs(sides) do names[#names + 1] = name end
  table.sort(names)
  return table.concat(names, ", ")
end

local function fail(message)
  io.stderr:write(arg[0], ": ", message, "\n")
  os.exit(2)
end

--- Runs the side that the command line names with the number of operations that
--- it gives, or `n`. A side prepares and returns the function to be measured;
--- that may return the numbers itself, otherwise the CPU time of the process
--- per operation is printed, in nanoseconds.
---
--- The collector is in the mode that the interpreter lua5.4 starts in, or in the
--- one that the environment variable UVJOBS_BENCH_GC names: `incremental` is what
--- programs have that embed Lua.
function common.main(n, sides)
  local prepare = sides[arg[1]]
  n = tonumber(arg[2] or n)
  if not prepare or math.type(n) ~= "integer" then
    fail("usage: SIDE [N], where SIDE is one of: " .. names_of(sides))
  end
  local work = prepare(n)
  collectgarbage(os.getenv("UVJOBS_BENCH_GC") or "generational")
  collectgarbage()
  local began = os.clock()
  local numbers = table.pack(work())
  if numbers.n == 0 then
    numbers = { ("%.1f"):format((os.clock() - began) * 1e9 / n) }
  end
  print(table.concat(numbers, " "))
end

--- A field of /proc/self/status in bytes: VmHWM, the most memory that the
--- process ever had, or VmRSS, what it has.
function common.memory(field)
  local file <close> = assert(io.open("/proc/self/status"))
  return tonumber(file:read("a"):match(field .. ":%s*(%d+) kB")) * 1024
end

--- Sorts samples in seconds; returns the median, the 99th percentile and the
--- least, in milliseconds.
function common.percentiles(samples)
  table.sort(samples)
  local function at(share) return samples[math.ceil(share * #samples)] * 1e3 end
  return ("%.4f"):format(at(0.5)), ("%.4f"):format(at(0.99)),
    ("%.4f"):format(samples[1] * 1e3)
end

return common
