-- Runs the rows of rows.lua in rounds and reports them. Called by bench/run.

local report = dofile("bench/report.lua")
local rounds = dofile("bench/rounds.lua")
local rows = dofile("bench/rows.lua")

local first_line <const>, median <const> = rounds.first_line, rounds.median
local succeeds <const> = rounds.succeeds

local PEER_ROUNDS = 3 -- they are slow, and only for comparison
local USAGE = "usage: bench/run [-n ROUNDS] [--no-peers] [ROW...]"

local lua = rounds.interpreter()

local function read(path)
  local file = io.open(path)
  if not file then return "" end
  local text = file:read("a")
  file:close()
  return text
end

-- ---- the command line ------------------------------------------------------

local function fail(message)
  io.stderr:write("bench/run: ", message, "\n")
  os.exit(2)
end

local function row_named(id)
  local ids = {}
  for i, row in ipairs(rows) do
    if row.id == id then return row end
    ids[i] = row.id
  end
  fail(("unknown row '%s'; there are: %s"):format(id, table.concat(ids, " ")))
end

local function parse(args)
  local options = { rounds = 7, peers = true, rows = {} }
  local i = 1
  while args[i] do
    if args[i] == "-n" then
      i = i + 1
      options.rounds = math.tointeger(tonumber(args[i])) or fail(USAGE)
      if options.rounds < 1 then fail(USAGE) end
    elseif args[i] == "--no-peers" then
      options.peers = false
    elseif args[i]:find("^%-") then
      fail(USAGE)
    else
      table.insert(options.rows, row_named(args[i]))
    end
    i = i + 1
  end
  options.all = #options.rows == 0 and options.peers and not os.getenv("UVJOBS_BENCH_GC")
  if #options.rows == 0 then options.rows = rows end
  return options
end

-- ---- measuring -------------------------------------------------------------

local peer_commands = {
  bare = lua .. " bench/%s.lua %s",
  luv = lua .. " bench/%s.lua %s",
  cqueues = lua .. " bench/%s.lua %s",
  asyncio = "python3 bench/peers/aio.py %s %s",
  go = "build/bench/peer %s %s",
  timerfd = "build/bench/timerfd %s %s",
  handle = lua .. " bench/%s.lua %s",
}

local function available_peers()
  return {
    bare = true,
    luv = succeeds(lua .. " -e 'require \"luv\"'"),
    cqueues = succeeds(lua .. " -e 'require \"cqueues\"'"),
    asyncio = succeeds("python3 -c 'import asyncio'"),
    go = succeeds("test -x build/bench/peer"),
    timerfd = succeeds("test -x build/bench/timerfd"),
    handle = succeeds("test -e build/bench/handle.so"),
  }
end

--- Runs a program as its own process; returns the numbers that it printed.
local function numbers_of(peer, program)
  local name, args = program:match("^(%S+) (.*)$")
  local numbers = rounds.numbers_of(peer_commands[peer]:format(name, args))
  if not numbers[1] then error(("%s: %s gave no number"):format(peer, program), 0) end
  return numbers
end

local function measure(peer, program)
  return numbers_of(peer, program)[1]
end

--- The same for several rows about one program: it is run once per round.
local function measure_field(peer, program, field, memo)
  local key = peer .. " " .. program
  memo[key] = memo[key] or numbers_of(peer, program)
  return memo[key][field]
end

--- The peer whose program the row's reference is.
local function reference_peer(row)
  for name, program in pairs(row.peers) do
    if program == row.reference then return name end
  end
  return "bare"
end

local function measure_reference(row)
  local values = {}
  for i = 1, row.repeats or 1 do
    values[i] = measure("bare", row.reference)
  end
  return median(values)
end

--- One round of a row: ours and the reference one after the other, in turn the
--- one and the other first.
local function measure_round(row, samples, round, memo)
  local ours, reference
  if row.reference then
    if round % 2 == 0 then reference = measure_reference(row) end
    ours = measure("bare", row.ours)
    reference = reference or measure_reference(row)
  else
    ours = measure_field("bare", row.ours, row.field, memo)
    reference = row.bound
  end
  table.insert(samples.ours, ours)
  if reference then
    table.insert(samples.reference, reference)
    table.insert(samples.ratios, ours / reference)
  end
end

--- The peers that are there; one that fails is left out from then on.
local function measure_peers(row, samples, present, memo)
  local known = row.reference and reference_peer(row)
  for name, program in pairs(row.peers) do
    if present[name] and name ~= known then
      local found, value = pcall(measure_field, name, program, row.field or 1, memo)
      if found then
        samples.peers[name] = samples.peers[name] or {}
        table.insert(samples.peers[name], value)
      else
        io.stderr:write("\n", value, "\n")
        present[name] = false
      end
    end
  end
end

--- What the row costs without a scheduler, against its reference in this round.
local function measure_floor(row, samples, present, memo)
  local peer = row.floor_peer or "bare"
  if not row.floor or not present[peer] then return end
  local floor = measure_field(peer, row.floor, row.field or 1, memo)
  local reference = row.floor_reference and measure("bare", row.floor_reference)
    or samples.reference[#samples.reference]
  table.insert(samples.floors, floor / reference)
end

local function memory_gb()
  return tonumber(read("/proc/meminfo"):match("MemAvailable:%s*(%d+)") or math.huge) / 1024 ^ 2
end

--- The rows that can be measured here.
local function possible(wanted, present)
  local found, gb = {}, memory_gb()
  for _, row in ipairs(wanted) do
    local peer = row.reference and reference_peer(row) or "bare"
    if not present[peer] then
      io.stderr:write(("left out: %s, because %s is not installed\n"):format(row.id, peer))
    elseif gb < (row.needs_gb or 0) then
      io.stderr:write(("left out: %s needs %d GB of memory\n"):format(row.id, row.needs_gb))
    else
      found[#found + 1] = row
    end
  end
  return found
end

local is_terminal = os.execute("test -t 2")

--- Shows what is going on, to people.
local function progress(format, ...)
  if is_terminal then io.stderr:write(("\r%-40s\r"):format(format:format(...))) end
end

local function measure_all(options, present)
  local all = {}
  for i, row in ipairs(options.rows) do
    all[i] = { row = row, ours = {}, reference = {}, ratios = {}, floors = {}, peers = {} }
  end
  for round = 1, options.rounds do
    local memo = {}
    for _, samples in ipairs(all) do
      local row = samples.row
      progress("round %d of %d: %s", round, options.rounds, row.id)
      measure_round(row, samples, round, memo)
      if options.peers and round <= PEER_ROUNDS then
        measure_floor(row, samples, present, memo)
        measure_peers(row, samples, present, memo)
      end
    end
  end
  progress("")
  return all
end

-- ---- results ---------------------------------------------------------------

local function is_met(result)
  if result.row.at_least then return result.ours >= result.row.at_least end
  return result.ratio <= result.row.target
end

local function result_of(samples)
  local row = samples.row
  local result = { row = row, ours = median(samples.ours), peers = {} }
  if row.at_least then result.ours = math.min(table.unpack(samples.ours)) end
  if #samples.ratios > 0 then
    result.reference = median(samples.reference)
    result.ratio = median(samples.ratios)
    result.min = math.min(table.unpack(samples.ratios))
    result.max = math.max(table.unpack(samples.ratios))
  end
  if #samples.floors > 0 then result.floor = median(samples.floors) end
  for name, values in pairs(samples.peers) do result.peers[name] = median(values) end
  if row.reference then
    local peer = reference_peer(row)
    if row.peers[peer] then result.peers[peer] = result.reference end
  end
  result.met = is_met(result)
  return result
end

--- When and where: one line.
local function circumstances(options)
  local cpu = read("/proc/cpuinfo"):match("model name%s*:%s*([^\n]+)") or "unknown processor"
  local load = read("/proc/loadavg"):match("^%S+") or "?"
  return table.concat({
    os.date("!%Y-%m-%d"),
    "uvjobs " .. (first_line("git describe --always --dirty 2>/dev/null") or "?"),
    ("%d rounds"):format(options.rounds),
    first_line(lua .. " -v 2>&1"):match("^Lua [%d.]+"),
    ("%s x %s"):format(first_line("nproc"), cpu),
    "load " .. load .. " before",
  }, ", ")
end

local function write(path, text)
  local file <close> = assert(io.open(path, "w"))
  file:write(text)
end

local options = parse(arg)
local present = available_peers()
local about = circumstances(options)
options.rows = possible(options.rows, present)
local results = {}
for i, samples in ipairs(measure_all(options, present)) do
  results[i] = result_of(samples)
end

print(about)
io.write(report.table(results))
if options.all and #results == #rows then
  write("bench/results.tsv", report.tsv(results, about))
  write("bench/targets.svg", report.targets_svg(results, about))
  write("bench/peers.svg", report.peers_svg(results, about))
  rounds.refresh("docs/performance.md", "bench/run", report.markdown(results, about))
end
