-- Checks whether something listens on the addresses of a list, LIMIT of them at once,
-- and prints a table. Each line of the list is HOST:PORT or [IPV6]:PORT. Blank lines, and
-- everything after a `#`, are skipped.
--
--   script/run examples/10_healthcheck.lua HOSTS [SECONDS]
--   script/run examples/10_healthcheck.lua          -- checks ports that it makes itself
--   uvjobs examples/10_healthcheck.lua hosts.txt 2
--
-- SECONDS is the time limit for each address, 3 unless given. The states are open, refused,
-- timeout, unknown host, bad line, and the system's code for any other error. The exit
-- status is 1 when any address is not open. It needs luv (Debian: lua-luv).

local uvjobs = require "uvjobs"
local uv = require "uvjobs.uv"

local LIMIT = 100
local SECONDS = 3

-- ---- the list --------------------------------------------------------------

--- Makes a target of a line: a table with `text`; and `host` and `port`, unless the line is
--- bad.
local function parse(text)
  local host, port = text:match "^%[([^%s%]]+)%]:(%d+)$"
  if not host then host, port = text:match "^([^%s:]+):(%d+)$" end
  port = math.tointeger(tonumber(port))
  if not port or port < 1 or port > 65535 then return { text = text } end
  return { text = text, host = host, port = port }
end

--- Returns the targets of a file, in its order.
local function read_targets(path)
  local file <close> = assert(io.open(path))
  local targets = {}
  for line in file:lines() do
    local text = line:gsub("#.*", ""):match "^%s*(.-)%s*$"
    if text ~= "" then targets[#targets + 1] = parse(text) end
  end
  return targets
end

-- ---- one of them -----------------------------------------------------------

local STATES = {
  ECONNREFUSED = "refused", ETIMEDOUT = "timeout", EAI_NONAME = "unknown host",
}

--- Checks one target, in a job of its own. Returns its state and the seconds that it took.
--- uv.connect tries the addresses of a host side by side. Names are looked up in luv's
--- threads, of which there are four.
local function check(target, seconds)
  if not target.host then return { state = "bad line" } end
  local started = uvjobs.now()
  local client <close>, _, code = uv.connect(target.host, target.port, seconds)
  local state = client and "open" or STATES[code] or code
  return { state = state, seconds = uvjobs.now() - started }
end

-- ---- all of them -----------------------------------------------------------

--- Prints a line for each target. Returns how many are open.
local function print_table(targets, results)
  local width, open = 0, 0
  for _, target in ipairs(targets) do width = math.max(width, #target.text) end
  for i, target in ipairs(targets) do
    local result = results[i]
    local time = result.seconds and ("%8.1f ms"):format(result.seconds * 1000) or ""
    print((("%-" .. width .. "s  %-12s %s"):format(target.text, result.state, time)
      :gsub("%s+$", "")))
    if result.state == "open" then open = open + 1 end
  end
  print(("%d of %d are open"):format(open, #targets))
  return open
end

local function check_file(path, seconds)
  local targets = read_targets(path)
  local results = uvjobs.map(targets, function(target)
    return check(target, seconds)
  end, { limit = LIMIT })
  return print_table(targets, results) == #targets
end

-- ---- ports to try it with --------------------------------------------------

local function bind()
  local tcp = uv.new_tcp()
  assert(tcp:bind("127.0.0.1", 0))
  return tcp, tcp:getsockname().port
end

--- A port where nobody answers: the program has taken one connection, without accepting
--- it, and so takes no more; the system's queue holds some of the others, and is full.
local function make_hanging(jobs)
  local server, port = bind()
  local taken = uvjobs.event()
  assert(server:listen(1, function() taken:set() end))
  local function connect()
    local tcp <close> = uv.new_tcp()
    tcp:connect("127.0.0.1", port)
    uvjobs.sleep(3600)
  end
  jobs:spawn(connect)
  taken:wait()
  for _ = 1, 8 do jobs:spawn(connect) end
  uvjobs.yield() -- they start
  return server, port
end

local function check_own_ports()
  local jobs = uvjobs.scheduler()
  local open <close>, open_port = bind()
  assert(open:listen(8))
  local _ <close>, refused_port = bind() -- and nobody listens
  local _ <close>, hanging_port = make_hanging(jobs)
  local path = os.tmpname()
  local _ <close> = setmetatable({}, { __close = function() os.remove(path) end })
  local file <close> = assert(io.open(path, "w"))
  file:write("# made by 10_healthcheck.lua\n127.0.0.1:", open_port, "   # listens\n\n",
    "127.0.0.1:", refused_port, "\n127.0.0.1:", hanging_port,
    "\nno..such..host:80\n127.0.0.1:http\n[127.0.0.1]:", open_port, "\n")
  file:close()
  local all_open = check_file(path, 0.5)
  jobs:close()
  return all_open
end

-- ---- the command line ------------------------------------------------------

local function main(path, seconds)
  seconds = tonumber(seconds or SECONDS)
  if not seconds or seconds < 0 then
    io.stderr:write("usage: 10_healthcheck.lua [HOSTS [SECONDS]]\n")
    os.exit(2)
  end
  local all_open
  if path then all_open = check_file(path, seconds) else all_open = check_own_ports() end
  if not all_open then os.exit(1) end
end

-- The command `uvjobs` runs this file as a job; the plain interpreter does not.
if uvjobs.current() then main(...) else uvjobs.run(main, ...) end
