-- Runs the programs of bench/workers in rounds, and reports them. Called by it.

local rounds = dofile "bench/rounds.lua"

local median <const> = rounds.median

-- What is measured, how many operations that takes, with whom it is compared and how many times as
-- good it should be. `against` is another side of ours; `at_most` a bound of its own, for the
-- second number that a side prints, which is else the CPU time.
local ROWS <const> = {
  { side = "flood", title = "short tasks, all at once", n = 50000, peer = "piscina", peer_n = 20000,
    at_least = 5 },
  { side = "in-turn", title = "short tasks, one after the other", n = 20000, peer = "piscina",
    peer_n = 10000, at_least = 1.5 },
  { side = "ping-pong", title = "a number there and back", n = 50000, peer = "worker_threads",
    peer_n = 20000, at_least = 1.5 },
  { side = "stream", title = "small tables to a thread", n = 200000, peer = "worker_threads",
    peer_n = 100000, at_least = 5 },
  { side = "start", title = "start of a thread", n = 100, peer = "worker_threads", peer_n = 20,
    at_least = 20 },
  { side = "memory", title = "memory of an idle thread", n = 16, unit = "KiB",
    peer = "worker_threads", peer_n = 8, at_least = 10 },
  { side = "busy-2", title = "computing, in two threads", n = 20000000, against = "busy-1",
    at_least = 1.85 },
  { side = "cancel", title = "cancel of a job that computes", n = 200, at_most = 20e6 },
}

local OURS <const> = rounds.interpreter() .. " bench/workers.lua "
local PEERS <const> = "node bench/peers/workers.mjs $PWD/build/bench/workers "

local function numbers(program, side, n)
  local command = ("%s%s %d"):format(program, side, n)
  local found = rounds.numbers_of(command)
  if not found[1] then rounds.fail("bench/workers", command .. " gave no number") end
  return found[1], found[2]
end

local function has_peer(name)
  if not rounds.succeeds "node -e 0" then return false end
  return name ~= "piscina" or rounds.succeeds "test -d build/bench/workers/node_modules/piscina"
end

-- What the row is compared with, or nil.
local function other_of(row)
  if row.against then return function() return numbers(OURS, row.against, row.n) end end
  if row.peer and has_peer(row.peer) then
    return function() return numbers(PEERS, row.side, row.peer_n) end
  end
end

-- Both run in each round, every second one in the opposite order, so that what slows the machine
-- down for some seconds affects both.
local function measure(row, n)
  local all, other = { ours = {}, most = {}, ratio = {}, cpu = {} }, other_of(row)
  for i = 1, n do
    local theirs, their_cpu
    if other and i % 2 == 0 then theirs, their_cpu = other() end
    local ours, second = numbers(OURS, row.side, row.n)
    if other and not theirs then theirs, their_cpu = other() end
    all.ours[i], all.most[i] = ours, second
    if theirs then all.ratio[i] = theirs / ours end
    if their_cpu and row.peer then all.cpu[i] = their_cpu / second end
  end
  return all
end

local function cost(row, ns)
  if row.unit == "KiB" then return ("%.0f KiB"):format(ns / 1024) end
  return ns < 1e5 and ("%.3g µs"):format(ns / 1e3) or ("%.3g ms"):format(ns / 1e6)
end

local function met(holds) return holds and "yes" or "**no**" end

local function report(row, all)
  local ours = cost(row, median(all.ours))
  if row.at_most then
    local most = median(all.most)
    print(("| %s | %s | - | at most %s | <= %s | %s | - |"):format(row.title, ours, cost(row, most),
      cost(row, row.at_most), met(most <= row.at_most)))
    return
  end
  local middle = median(all.ratio)
  local cpu = median(all.cpu)
  local ratios = middle and ("%.3g (%.3g..%.3g)"):format(middle, all.ratio[1],
    all.ratio[#all.ratio]) or "-"
  print(("| %s | %s | %s | %s | >= %s | %s | %s |"):format(row.title, ours,
    row.peer or "one thread", ratios, row.at_least, middle and met(middle >= row.at_least) or "-",
    cpu and ("%.3g"):format(cpu) or "-"))
end

local n, is_wanted = rounds.options("bench/workers", 5)
print "| what | uvjobs | against | times as good | target | met | in CPU time |"
print "|---|---|---|---|---|---|---|"
for _, row in ipairs(ROWS) do
  if is_wanted(row.side) then report(row, measure(row, n)) end
end
