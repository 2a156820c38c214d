-- The table of bench/supervisor: in each round uvjobs and Erlang run one after the other, in turn
-- the one and the other first. What counts is the median of the ratios.

local ROWS <const> = {
  { side = "restart", n = 100000, title = "crash to restart", target = 0.1 },
  { side = "start", n = 20000, title = "start of a child", target = 0.2 },
  { side = "round", n = 10000, title = "one_for_all of 10", target = 1 / 3 },
  { side = "close", n = 10000, title = "close, of 10,000", target = 0.5 },
  { side = "memory", n = 10000, title = "memory, bytes", target = 1 },
}

local rounds, wanted, is_wanted = 5, {}, false
do
  local i = 1
  while arg[i] do
    if arg[i] == "-n" then
      i = i + 1
      rounds = assert(math.tointeger(tonumber(arg[i])), "-n ROUNDS")
    else
      wanted[arg[i]], is_wanted = true, true
    end
    i = i + 1
  end
end

local function interpreter()
  local i = 0
  while arg[i - 1] do i = i - 1 end
  return arg[i]
end

local function numbers_of(command)
  local pipe <close> = assert(io.popen(command))
  local line = pipe:read "l" or ""
  local first, second = line:match "^(%S+)%s*(%S*)"
  return assert(tonumber(first), command .. " gave no number"), tonumber(second)
end

local function ours(row)
  return numbers_of(("%s bench/supervisor.lua %s %d"):format(interpreter(), row.side, row.n))
end

local function erlang(row)
  return numbers_of(("erl -noshell -pa build/bench/supervisor -run supervisor_bench main %s %d")
    :format(row.side, row.n))
end

local function median(list)
  table.sort(list)
  return list[(#list + 1) // 2]
end

local has_erlang = os.execute "test -e build/bench/supervisor/supervisor_bench.beam"

local function measure(row)
  local all = { ours = {}, erlang = {}, ratio = {}, cpu = {} }
  for round = 1, rounds do
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
  if not is_wanted or wanted[row.side] then
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
