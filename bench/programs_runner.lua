-- The table of bench/programs: in each round a program runs with the heap and without it, in turn
-- the one and the other first. What counts is the median of the ratios.

local rounds = dofile "bench/rounds.lua"

local median <const> = rounds.median

local PROGRAMS <const> = {
  "trees", "strings", "tables", "closures", "json", "cache", "sizes", "sizes-small", "sizes-large",
}

local n, is_wanted = rounds.options("bench/programs", 5)

local function measure(program, heap)
  local command = ("UVJOBS_HEAP=%s %s bench/programs.lua %s"):format(heap,
    rounds.interpreter(), program)
  local pipe <close> = assert(io.popen(command))
  local cpu, most, rest = (pipe:read "l" or ""):match "^(%S+) (%S+) (%S+)$"
  assert(cpu, command .. " gave no numbers")
  return { cpu = tonumber(cpu), most = tonumber(most), rest = tonumber(rest) }
end

local function row(program)
  local all = {}
  for _, name in ipairs { "cpu", "most", "rest" } do
    all[name] = { with = {}, without = {}, ratio = {} }
  end
  for round = 1, n do
    local without = round % 2 == 0 and measure(program, "0")
    local with = measure(program, "1")
    without = without or measure(program, "0")
    for name, of in pairs(all) do
      of.with[round], of.without[round] = with[name], without[name]
      of.ratio[round] = with[name] / without[name]
    end
  end
  local mb = 1e6
  print(("| `%s` | %.2f | %.2f | %.1f / %.1f MB | %.2f | %.1f / %.1f MB |"):format(program,
    median(all.cpu.with), median(all.cpu.ratio), median(all.most.with) / mb,
    median(all.most.without) / mb, median(all.most.ratio), median(all.rest.with) / mb,
    median(all.rest.without) / mb))
end

print("| program | CPU seconds | ratio | memory at most, with / without | ratio "
  .. "| memory afterwards |")
print "|---|---|---|---|---|---|"
for _, program in ipairs(PROGRAMS) do
  if is_wanted(program) then row(program) end
end
