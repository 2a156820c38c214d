-- The table of bench/supervisor: in each round uvjobs and Erlang run one after the other, in turn
-- the one and the other first. What counts is the median of the ratios.

local rounds = dofile "bench/rounds.lua"

local median <const> = rounds.median

local ROWS <const> = {
  { side = "restart", n = 100000, title = "crash to restart", target = 0.1 },
  { side = "start", n = 20000, title = "start of a child", target = 0.2 },
  { side = "round", n = 10000, title = "one_for_all of 10", target = 1 / 3 },
  { side = "close", n = 10000, title = "close, of 10,000", target = 0.5 },
  { side = "memory", n = 10000, title = "memory, bytes", target = 1 },
}

local n, is_wanted = rounds.options("bench/supervisor", 5)

local function numbers_of(command)
  local numbers = rounds.numbers_of(command)
  return assert(numbers[1], command .. " gave no number"), numbers[2]
end

local function ours(row)
  return numbers_of(("%s bench/supervisor.lua %s %d"):format(rounds.interpreter(), row.side,
    row.n))
end

local function erlang(row)
  return numbers_of(("erl -noshell -pa build/bench/supervisor -run supervisor_bench main %s %d")
    :format(row.side, row.n))
end

local has_erlang = os.execute "test -e build/bench/supervisor/supervisor_bench.beam"

local function measure(row)
  local all = { ours = {}, erlang = {}, ratio = {}, cpu = {} }
  for round = 1, n do
    local passed, cpu, theirs, their_cpu
    if has_erlang and round % 2 == 0 then theirs, their_cpu = erlang(row) end
    passed, cpu = ours(row)
    if has_erlang and not theirs then theirs, their_cpu = erlang(row) end
    table.insert(all.ours, passed)
    if theirs then
      table.insert(all.erlang, theirs)
      table.insert(all.ratio, passed / theirs)
      if their_cpu and cpu and row.side ~= "memory" then table.insert(all.cpu, cpu / their_cpu) end
    end
  end
  return all
end

print "row                        uvjobs       Erlang    ratio   target   ratio of CPU times"
for _, row in ipairs(ROWS) do
  if is_wanted(row.side) then
    local all = measure(row)
    local text = ("%-20s %10.0f ns"):format(row.title, median(all.ours))
    if has_erlang then
      text = text .. (" %9.0f ns  %7.3f  %7.3f   %s"):format(median(all.erlang),
        median(all.ratio), row.target, #all.cpu > 0 and ("%.3f"):format(median(all.cpu)) or "")
    end
    if row.side == "memory" then text = text:gsub(" ns", " B ") end
    print(text)
  end
end
