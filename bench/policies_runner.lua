-- Runs the programs of bench/policies in rounds, and reports them. Called by it.

-- What is measured, how many operations that takes, and how many times as fast as the peer
-- it should be.
local ROWS <const> = {
  { side = "retry", title = "retry", n = 1000000, peer = "cockatiel", peer_n = 300000 },
  { side = "breaker", title = "breaker", n = 1000000, peer = "cockatiel", peer_n = 300000 },
  { side = "both", title = "retry and breaker", n = 1000000, peer = "cockatiel",
    peer_n = 300000, at_least = 4 },
  { side = "timeout", title = "timeout", n = 1000000, peer = "cockatiel", peer_n = 100000 },
  { side = "hedge", title = "hedge", n = 100000 },
  { side = "rate", title = "rate", n = 1000000 },
  { side = "try", title = "`try` of a rate", n = 2000000, peer = "rate", peer_n = 2000000,
    at_least = 1 },
  { side = "limit", title = "limit", n = 1000000 },
  { side = "queued", title = "16 of 200,000 queued calls at once", n = 200000,
    peer = "p-queue", peer_n = 200000, at_least = 20 },
  { side = "queued", title = "16 of 20,000 queued calls at once", n = 20000,
    peer = "bottleneck", peer_n = 20000, at_least = 200 },
  { side = "priorities", title = "16 of 200,000 queued jobs with priorities", n = 200000,
    peer = "p-queue", peer_n = 200000, at_least = 20 },
}

local function interpreter()
  local i = 0
  while arg[i - 1] do i = i - 1 end
  return arg[i]
end

local function first_line(command)
  local pipe <close> = assert(io.popen(command))
  return pipe:read "l"
end

local function succeeds(command) return (os.execute(command .. " >/dev/null 2>&1")) end

local function fail(message, status)
  io.stderr:write("bench/policies: ", message, "\n")
  os.exit(status or 1)
end

local OURS <const> = interpreter() .. " bench/policies.lua "
local PEERS <const> = "node bench/peers/policies.mjs $PWD/build/bench/policies "

-- Nanoseconds for one operation, the lower of two runs: when a process that took much memory has
-- ended, a virtual machine gives new memory slowly for a while, to whoever runs first.
local function cost(program, side, n)
  local command, least = ("%s%s %d"):format(program, side, n), math.huge
  for _ = 1, 2 do
    local one = tonumber(first_line(command)) or fail(command .. " gave no number")
    least = math.min(least, one)
  end
  return least
end

-- The program of Go; all others are libraries of npm.
local GO <const> = "build/bench/policies/rate "

local function has_peer(name)
  if name == "rate" then return succeeds("test -x " .. GO) end
  return succeeds "node -e 0" and succeeds("test -d build/bench/policies/node_modules/" .. name)
end

-- What a peer is asked: two of them are asked the same.
local function cost_of_peer(row)
  if row.peer == "rate" then return cost(GO, row.side, row.peer_n) end
  local side = row.side == "queued" and row.peer or row.side
  return cost(PEERS, side, row.peer_n)
end

local function median(list)
  table.sort(list)
  local middle = #list // 2
  return #list % 2 == 1 and list[middle + 1] or (list[middle] + list[middle + 1]) / 2
end

-- Both run in each round, one after the other, so that what slows the machine down for some
-- seconds affects both.
local function measure(row, rounds)
  local ours, ratios = {}, {}
  local with_peer = row.peer and has_peer(row.peer)
  for i = 1, rounds do
    ours[i] = cost(OURS, row.side, row.n)
    if with_peer then ratios[i] = cost_of_peer(row) / ours[i] end
  end
  return median(ours), with_peer and ratios or nil
end

local function report(row, ours, ratios)
  local middle = ratios and median(ratios)
  local met = "-"
  if middle and row.at_least then met = middle >= row.at_least and "yes" or "**no**" end
  print(("| %s | %.0f ns | %s | %s | %s | %s |"):format(row.title, ours, row.peer or "-",
    middle and ("%.3g (%.3g..%.3g)"):format(middle, ratios[1], ratios[#ratios]) or "-",
    row.at_least and ">= " .. row.at_least or "-", met))
end

local function parse(args)
  local rounds, wanted, any, i = 5, {}, false, 1
  while args[i] do
    if args[i] == "-n" then
      i = i + 1
      rounds = math.tointeger(tonumber(args[i]))
      if not rounds or rounds < 1 then fail("usage: bench/policies [-n ROUNDS] [ROW...]", 2) end
    else
      wanted[args[i]], any = true, true
    end
    i = i + 1
  end
  return rounds, any and wanted or nil
end

local rounds, wanted = parse(arg)
print("| around a function that does nothing | a call | against | times as fast | target | met |")
print "|---|---|---|---|---|---|"
for _, row in ipairs(ROWS) do
  if not wanted or wanted[row.side] then report(row, measure(row, rounds)) end
end
