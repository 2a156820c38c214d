-- Runs the programs of bench/durable in rounds, and reports them. Called by it.

local rounds = dofile "bench/rounds.lua"

local first_line <const>, median <const> = rounds.first_line, rounds.median

-- What is measured, and how many operations that takes. A row has a peer, and says how many times
-- as much as that we should reach (`at_least`) or may need (`at_most`); or it has none, and
-- `at_most` is a number of `unit`. The rows of PostgreSQL need a server.
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
}

local function postgres(row)
  row.program, row.peers, row.needs_server = "bench/durable_postgres.lua", "durable_postgres", true
  row.name = "pg-" .. row.name
  ROWS[#ROWS + 1] = row
end

postgres { name = "work", side = "work", title = "20,000 empty tasks to done", n = 20000,
  peer = "pg-boss", peer_side = "boss-work", peer_n = 20000, at_least = 5 }
postgres { name = "floor", side = "work", title = "the same, against plain libpq", n = 20000,
  peer_program = "build/bench/durable/floor %d", peer = "libpq", peer_n = 20000, at_least = 0.5 }
postgres { name = "graphile", side = "work", title = "20,000 empty tasks to done", n = 20000,
  peer = "graphile-worker", peer_side = "graphile-work", peer_n = 2000, at_least = 10 }
postgres { name = "add", side = "add-64", title = "enqueue, 64 jobs at once", n = 10000,
  peer = "pg-boss", peer_side = "boss-send", peer_n = 2000, at_least = 3 }
for _, part in ipairs { "p50", "p99" } do
  postgres { name = "start-" .. part, side = "start-" .. part, n = 100, unit = "ms",
    title = "enqueue to start, " .. part, peer = "graphile-worker",
    peer_side = "graphile-start-" .. part, peer_n = 100, at_most = 0.7 }
end
postgres { name = "wal", side = "wal", title = "bytes of WAL a task", n = 20000, unit = "B",
  peer = "pg-boss", peer_side = "boss-wal", peer_n = 20000, at_most = 0.6 }
postgres { name = "wal-floor", side = "wal", title = "the same, against plain libpq", n = 20000,
  unit = "B", peer_program = "build/bench/durable/floor %d wal", peer = "libpq", peer_n = 20000 }

local DONE <const> = math.tointeger(tonumber(os.getenv "BENCH_DONE")) or 100000

-- A limit, on a store.
local function limit(side, store, title, n, at_most, unit)
  ROWS[#ROWS + 1] = {
    name = ("%s-%s"):format(side, store == "sqlite" and "file" or "pg"),
    side = side .. " " .. store,
    program = "bench/durable_limits.lua", title = title, n = n, at_most = at_most, unit = unit,
    needs_server = store == "postgres",
  }
end

for _, store in ipairs { "sqlite", "postgres" } do
  local on = store == "sqlite" and "SQLite" or "PostgreSQL"
  limit("same", store, "enqueue to start, same process, p99, " .. on, 100, 50, "ms")
  limit("other", store, "the same, another one, " .. on, 100, 100, "ms")
  limit("many", store, ("work among %d done tasks, %s"):format(DONE, on), DONE, 1.2, "x")
  limit("prune", store, "longest wait for pruning, " .. on, 50000, 100, "ms")
  limit("loop", store, "turn of the loop beside a worker, " .. on, 100, 1, "ms")
end
limit("unheard", "postgres", "enqueue to start, nothing heard, p99", 20, 1200, "ms")
limit("wal", "sqlite", "largest WAL of a file", 100000, 64, "MiB")
limit("recovery", "sqlite", "SIGKILL to the next start, SQLite", 3, 1, "s")
limit("recovery", "postgres", "the same, PostgreSQL, lease 2 s", 3, 3, "s")

local function rate(command)
  return tonumber(first_line(command)) or error(command .. " gave no number", 0)
end

local function ours(row, side, n)
  return rate(("%s %s %s %d"):format(rounds.interpreter(),
    row.program or "bench/durable.lua", side, n))
end

local function has_peer(row)
  local file = row.peer_program and row.peer_program:match "%S+" or
    "build/bench/durable/node_modules/" .. row.peer
  return (os.execute(("test -e %s && { test -n '%s' || node -e 0; } >/dev/null 2>&1")
    :format(file, row.peer_program or "")))
end

local function peer(row)
  if row.ours then return ours(row, row.ours, row.peer_n) end
  if not row.peer or not has_peer(row) then return nil end
  local command = row.peer_program and row.peer_program:format(row.peer_n) or
    ("node bench/peers/%s.mjs $PWD/build/bench/durable %s %d 2>/dev/null"):format(
      row.peers or "durable", row.peer_side, row.peer_n)
  return tonumber(first_line(command)) -- one that could not be built gives no number
end

-- In every second round the peer is first.
local function measure(row, n)
  local rates, peers, ratios = {}, {}, {} -- of the rounds
  for round = 1, n do
    local mine, theirs
    if round % 2 == 0 then theirs = peer(row) end
    mine = ours(row, row.side, row.n)
    if round % 2 == 1 then theirs = peer(row) end
    rates[round] = mine
    if theirs then
      peers[#peers + 1], ratios[#ratios + 1] = theirs, mine / theirs
    end
  end
  return median(rates), median(peers), median(ratios)
end

local function verdict(row, value)
  if row.at_least then
    return ("  at least %g: %s"):format(row.at_least, value >= row.at_least and "yes" or "NO")
  elseif row.at_most then
    return ("  at most %g: %s"):format(row.at_most, value <= row.at_most and "yes" or "NO")
  end
  return ""
end

local function number(value, unit)
  if unit == "s" or unit == "ms" or unit == "x" or unit == "MiB" then
    return ("%8.2f %-3s"):format(value, unit)
  end
  return ("%8.0f %-3s"):format(value, unit or "/s")
end

local function report(row, n)
  local mine, theirs, ratio = measure(row, n)
  local text = ("%-13s %-50s %s"):format(row.name or row.side, row.title, number(mine, row.unit))
  if ratio then
    text = text .. ("  %-15s %s %6.2fx"):format(row.peer or row.ours, number(theirs, row.unit),
      ratio)
  end
  local has_value = ratio or not (row.peer or row.ours)
  print(text .. (has_value and verdict(row, ratio or mine) or ""))
  io.stdout:flush()
end

local n, is_wanted = rounds.options("bench/durable", 3)
for _, row in ipairs(ROWS) do
  if not is_wanted(row.name or row.side) then
    goto continue
  elseif row.needs_server and not os.getenv "UVJOBS_POSTGRES" then
    print(("%-13s left out: there is no PostgreSQL"):format(row.name))
  else
    report(row, n)
  end
  ::continue::
end
