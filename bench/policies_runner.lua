-- Runs the programs of bench/policies in rounds, and reports them. Called by it.

local rounds = dofile "bench/rounds.lua"

local median <const>, succeeds <const> = rounds.median, rounds.succeeds

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

local OURS <const> = rounds.interpreter() .. " bench/policies.lua "
local PEERS <const> = "node bench/peers/policies.mjs $PWD/build/bench/policies "

-- Nanoseconds for one operation, the lower of two runs: when a process that took much memory has
-- ended, a virtual machine gives new memory slowly for a while, to whoever runs first.
local function cost(program, side, n)
  local command, least = ("%s%s %d"):format(program, side, n), math.huge
  for _ = 1, 2 do
    local one = rounds.numbers_of(command)[1] or
      rounds.fail("bench/policies", command .. " gave no number")
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

-- Both run in each round, one after the other, so that what slows the machine down for some
-- seconds affects both.
local function measure(row, n)
  local ours, ratios = {}, {}
  local with_peer = row.peer and has_peer(row.peer)
  for i = 1, n do
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

local n, is_wanted = rounds.options("bench/policies", 5)
print("| around a function that does nothing | a call | against | times as fast | target | met |")
print "|---|---|---|---|---|---|"
for _, row in ipairs(ROWS) do
  if is_wanted(row.side) then report(row, measure(row, n)) end
end
