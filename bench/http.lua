-- HTTP: what a job for each request costs. `wrk` loads two servers of lua-http with the
-- same handler, 20 connections each: a plain one, and one with http.setup. Then a third,
-- whose handlers wait for 50 ms, with 200 connections and a limit of 50: what the limit
-- gives is a latency of 200 ms for each. And a server with the same handler in each of two threads,
-- which is compared with ours in one. Run as
--   lua5.4 bench/http.lua [ROUNDS [SECONDS]]
-- with the paths of the tree. Each measurement is a server in a process of its own.

local dir = arg[0]:match("^(.*/)") or "./"
local rounds = dofile(dir .. "rounds.lua")

local ROUNDS <const>, SECONDS <const> = 7, 3
local TARGET <const> = 0.9 -- of the requests per second of plain lua-http
local THREADS_TARGET <const> = 1.7 -- of those of ours in one thread

local LOADS <const> = {
  plain = "-t1 -c20", uvjobs = "-t1 -c20", threads = "-t1 -c20", limited = "-t1 -c200",
}
local AT_LIMIT_MS <const> = 200 / 50 * 50

local function fail(message) rounds.fail("bench/http.lua", message, 2) end

-- ---- one measurement -------------------------------------------------------

--- Starts a server as a child process. It is killed when the `<close>` variable that
--- holds it goes out of scope.
local function start(side)
  local command = ("'%s' %speers/http_server.lua %s & echo $!; wait"):format(
    rounds.interpreter(), dir, side)
  local pipe = assert(io.popen(command))
  local pid = math.tointeger(pipe:read "n")
  local server = setmetatable({ pid = pid }, { __close = function()
    os.execute(("kill -KILL %d 2>/dev/null"):format(pid))
    pipe:close()
  end })
  server.port = pipe:read "n"
  if not server.port then
    server = nil
    pipe:close()
    fail(("the server '%s' has not started"):format(side))
  end
  return server
end

--- The seconds of CPU that the process has used, of the user and of the system.
local function cpu_seconds(pid)
  local file <close> = assert(io.open(("/proc/%d/stat"):format(pid)))
  local fields = {}
  for field in file:read("a"):match("%)(.*)"):gmatch "%S+" do fields[#fields + 1] = field end
  return (fields[12] + fields[13]) / 100 -- ticks; Linux has 100 of them in a second
end

local UNITS <const> = { us = 1e-3, ms = 1, s = 1e3, m = 6e4 }

--- What wrk says of a percentile, in milliseconds.
local function percentile(text, which)
  local number, unit = text:match("\n%s+" .. which .. "%%%s+([%d.]+)(%a+)")
  return tonumber(number) * UNITS[unit]
end

--- Loads a server. Returns what wrk prints.
local function load_server(server, load, seconds)
  local pipe = assert(io.popen(("wrk %s -d%d --latency http://127.0.0.1:%d/ 2>&1"):format(
    load, seconds, server.port)))
  local text = pipe:read "a"
  if not pipe:close() or text:find "Non%-2xx" or text:find "Socket errors" then
    error("wrk failed:\n" .. text, 0)
  end
  return text
end

--- Measures a server. Returns its requests per second, the CPU time of a request in
--- microseconds, and the median and the 99th percentile of the latency in milliseconds.
local function measure(side, seconds)
  local server <close> = start(side)
  load_server(server, LOADS[side], 1) -- it warms up
  local before = cpu_seconds(server.pid)
  local text = load_server(server, LOADS[side], seconds)
  local cpu = cpu_seconds(server.pid) - before
  return {
    rate = tonumber(text:match "Requests/sec:%s+([%d.]+)"),
    cpu_us = cpu * 1e6 / text:match "(%d+) requests in",
    p50_ms = percentile(text, 50),
    p99_ms = percentile(text, 99),
  }
end

-- ---- rounds ----------------------------------------------------------------

local SIDES <const> = { "plain", "uvjobs", "threads" } -- that are compared

--- The sides that are compared one after the other, every second time the other way round.
local function measure_round(round, seconds)
  local found = {}
  for i = 1, #SIDES do
    local side = SIDES[round % 2 == 0 and #SIDES + 1 - i or i]
    found[side] = measure(side, seconds)
  end
  found.limited = measure("limited", seconds)
  return found
end

--- The median, and the least and the greatest as a text, of what `fn` gives for each.
local function summary(all, format, fn)
  local values = {}
  for i, found in ipairs(all) do values[i] = fn(found) end
  local median = rounds.median(values)
  return median, ("%s (%s..%s)"):format(format, format, format):format(median, values[1],
    values[#values])
end

local function report_target(ratio, target)
  print(("  at least %.2f: %s"):format(target, ratio >= target and "yes" or "NO"))
end

local function report(all)
  local function line(title, format, fn)
    local median, text = summary(all, format, fn)
    print(("%-42s %s"):format(title, text))
    return median
  end
  line("requests per second, plain lua-http", "%.0f", function(r) return r.plain.rate end)
  line("requests per second, uvjobs.http", "%.0f", function(r) return r.uvjobs.rate end)
  local ratio = line("ratio", "%.2f", function(r) return r.uvjobs.rate / r.plain.rate end)
  report_target(ratio, TARGET)
  line("requests per second, in two threads", "%.0f", function(r) return r.threads.rate end)
  ratio = line("ratio to one", "%.2f", function(r) return r.threads.rate / r.uvjobs.rate end)
  report_target(ratio, THREADS_TARGET)
  line("us of CPU for a request, plain lua-http", "%.0f", function(r) return r.plain.cpu_us end)
  line("us of CPU for a request, uvjobs.http", "%.0f", function(r) return r.uvjobs.cpu_us end)
  line("ratio", "%.2f", function(r) return r.uvjobs.cpu_us / r.plain.cpu_us end)
  line("ms at the limit, median", "%.0f", function(r) return r.limited.p50_ms end)
  line("ms at the limit, 99th of 100", "%.0f", function(r) return r.limited.p99_ms end)
  print(("  the limit gives: %.0f"):format(AT_LIMIT_MS))
end

local function main(n, seconds)
  n, seconds = math.tointeger(tonumber(n)), math.tointeger(tonumber(seconds))
  if not n or n < 1 or not seconds or seconds < 1 then
    fail "usage: http.lua [ROUNDS [SECONDS]]"
  elseif not os.execute "command -v wrk >/dev/null" then
    fail "wrk is not installed (Debian: wrk)"
  end
  local all = {}
  for round = 1, n do all[round] = measure_round(round, seconds) end
  report(all)
end

main(arg[1] or ROUNDS, arg[2] or SECONDS)
