-- Runs the programs of bench/durable in rounds, and reports them. Called by it.

-- What is measured, how many operations that takes, and how many times as fast as the peer
-- it should be.
local ROWS <const> = {
  { side = "work-normal", title = "20,000 empty tasks to done, NORMAL", n = 20000,
    peer = "plainjob", peer_side = "work-normal", peer_n = 2000, at_least = 10 },
  { side = "work-full", title = "20,000 empty tasks to done, FULL", n = 20000,
    peer = "plainjob", peer_side = "work-full", peer_n = 500, at_least = 10 },
  { side = "add-full-64", title = "enqueue, 64 jobs at once, FULL", n = 10000,
    peer = "plainjob", peer_side = "add-full", peer_n = 500, at_least = 10 },
  { side = "add-normal", title = "enqueue, one at a time, NORMAL", n = 5000,
    peer = "plainjob", peer_side = "add-normal", peer_n = 5000, at_least = 0.8 },
  { side = "work-normal", name = "liteque", title = "empty tasks to done, NORMAL", n = 20000,
    peer = "liteque", peer_side = "liteque", peer_n = 1000 },
  { side = "work-memory", title = "tasks in memory, against spawn", n = 50000,
    ours = "spawn", peer_n = 200000, at_least = 0.2 },
  { side = "recovery", title = "from SIGKILL to the next start, seconds", n = 3, seconds = true,
    at_most = 1 },
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

local function rate(command)
  return tonumber(first_line(command)) or error(command .. " gave no number", 0)
end

local function ours(side, n)
  return rate(("%s bench/durable.lua %s %d"):format(interpreter(), side, n))
end

local function has_peer(name)
  return (os.execute(("node -e 0 && test -d build/bench/durable/node_modules/%s")
    :format(name) .. " >/dev/null 2>&1"))
end

local function peer(row)
  if row.ours then return ours(row.ours, row.peer_n) end
  if not row.peer or not has_peer(row.peer) then return nil end
  -- One that could not be built gives no number.
  return tonumber(first_line(("node bench/peers/durable.mjs $PWD/build/bench/durable %s %d " ..
    "2>/dev/null"):format(row.peer_side, row.peer_n)))
end

local function median(list)
  if #list == 0 then return nil end
  table.sort(list)
  return list[(#list + 1) // 2]
end

-- In every second round the peer is first.
local function measure(row, rounds)
  local rates, peers, ratios = {}, {}, {} -- of the rounds
  for round = 1, rounds do
    local mine, theirs
    if round % 2 == 0 then theirs = peer(row) end
    mine = ours(row.side, row.n)
    if round % 2 == 1 then theirs = peer(row) end
    rates[round] = mine
    if theirs then
      peers[#peers + 1], ratios[#ratios + 1] = theirs, mine / theirs
    end
  end
  return median(rates), median(peers), median(ratios)
end

local function report(row, rounds)
  local mine, theirs, ratio = measure(row, rounds)
  if row.seconds then
    print(("%-45s %8.2f s                              at most %g: %s"):format(row.title, 1 / mine,
      row.at_most, 1 / mine <= row.at_most and "yes" or "NO"))
    return
  end
  local text = ("%-45s %8.0f/s"):format(row.title, mine)
  if ratio then
    text = text .. ("  %s %8.0f/s  %6.2fx"):format(row.peer or row.ours, theirs, ratio)
    if row.at_least then
      text = text .. ("  at least %g: %s"):format(row.at_least,
        ratio >= row.at_least and "yes" or "NO")
    end
  end
  print(text)
end

local rounds, wanted, i = 3, {}, 1
while arg[i] do
  if arg[i] == "-n" then
    i = i + 1
    rounds = assert(math.tointeger(tonumber(arg[i])), "-n needs a number")
  else
    wanted[arg[i]] = true
  end
  i = i + 1
end
for _, row in ipairs(ROWS) do
  if next(wanted) == nil or wanted[row.name or row.side] then report(row, rounds) end
end
