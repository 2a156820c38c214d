-- uv.connect: connects to a host by its name, as RFC 8305 ("Happy Eyeballs") says. Names are
-- looked up for both families at once, and several addresses are tried side by side, because
-- any lookup and any address may stay without an answer for minutes.

local luv = require "luv"
local core = require "uvjobs.core"
local addresses = require "uvjobs.uv.addresses"
local errors = require "uvjobs.uv.errors"
local handles = require "uvjobs.uv.handles"

core.own_source()

local uvjobs = core.public

-- Seconds from the start of one attempt to that of the next, unless the first fails.
local ATTEMPT_DELAY <const> = 0.25

-- Seconds that IPv4 addresses wait for the IPv6 ones, which are tried first.
local RESOLUTION_DELAY <const> = 0.05

-- Seconds between attempts to connect to a Unix socket whose server is busy.
local BUSY_DELAY <const> = 0.01

local FAMILIES <const> = { "inet6", "inet" }
local OTHER <const> = { inet6 = "inet", inet = "inet6" }

-- What a lookup in one family says of a name that has addresses of the other.
local NO_ADDRESS <const> = { EAI_NONAME = true, EAI_NODATA = true, EAI_ADDRFAMILY = true }

-- ---- the race ------------------------------------------------------------------------

--- All lookups and attempts for one connection, as a to-be-closed variable: what is under
--- way when it is left is given up. luv's callbacks only put functions into `news`, which
--- the job calls.
---@class uvjobs.uv.Race
---@field host string
---@field port integer
---@field news uvjobs.Queue of functions; they return the winner, or nil
---@field requests table<string, userdata> luv's requests that are under way, by family
---@field lookups table<string, true> the families whose lookup the job waits for
---@field waiting table<string, string[]> the addresses to try, by family, the next one last
---@field seen table<string, true> the addresses that were known
---@field attempts table<userdata, string> the handles that connect, with their addresses
---@field last_family? string of the last attempt
---@field next_at number when the next attempt may start
---@field reason? string why the last attempt, or else the lookup, has failed
---@field code? string
local Race = {}
Race.__index = Race

local function new_race(host, port)
  return setmetatable({
    host = host, port = port, news = uvjobs.queue(), requests = {}, lookups = {},
    waiting = { inet = {}, inet6 = {} }, seen = {}, attempts = {}, next_at = 0,
  }, Race)
end

function Race:__close()
  for _, request in pairs(self.requests) do luv.cancel(request) end
  for tcp in pairs(self.attempts) do luv.close(tcp) end
end

-- Adds addresses in front of the ones that wait, in reverse: the next one is the last.
function Race:add(family, list)
  local waiting = {}
  for i = #list, 1, -1 do waiting[#waiting + 1] = list[i] end
  self.waiting[family] = waiting
end

function Race:lookup_failed(code, message)
  if self.reason and NO_ADDRESS[code] then return end
  self.reason, self.code = message, code
end

-- Takes what a lookup has found, in the order in which the system sorts it.
function Race:found(family, err, results)
  self.lookups[family] = nil
  if err then
    local _, message, code = errors.results_of(err)
    self:lookup_failed(code, message)
  else
    local list = {}
    for _, result in ipairs(results) do
      if not self.seen[result.addr] then list[#list + 1] = result.addr end
      self.seen[result.addr] = true
    end
    self:add(family, list)
  end
  if self.last_family then return end
  self.next_at = self.lookups.inet6 and uvjobs.now() + RESOLUTION_DELAY or 0
end

function Race:look_up(family)
  local request, message, code = luv.getaddrinfo(self.host, nil,
    { family = family, socktype = "stream" }, function(err, results)
      self.requests[family] = nil
      self.news:try_put(function() return self:found(family, err, results) end)
    end)
  if request then
    self.requests[family], self.lookups[family] = request, true
  else
    self:lookup_failed(code, message)
  end
end

function Race:begin()
  local address, family = addresses.of_number(self.host)
  if address then return self:add(family, { address }) end
  for _, each in ipairs(FAMILIES) do self:look_up(each) end
end

-- Returns the family of the next address to try: the families alternate.
function Race:next_family()
  local family = OTHER[self.last_family] or FAMILIES[1]
  if #self.waiting[family] > 0 then return family end
  if #self.waiting[OTHER[family]] > 0 then return OTHER[family] end
end

-- Notes that an attempt has failed; the next one may start at once.
function Race:failed(tcp, message, code)
  local address = self.attempts[tcp]
  self.attempts[tcp] = nil
  luv.close(tcp)
  self.reason = address == self.host and message or ("%s (%s)"):format(message, address)
  self.code = code
  self.next_at = 0
end

-- Returns the handle when it has connected.
function Race:ended(tcp, err)
  if err then
    local _, message, code = errors.results_of(err)
    return self:failed(tcp, message, code)
  end
  self.attempts[tcp] = nil
  return tcp
end

function Race:try_next(family)
  local tcp = luv.new_tcp()
  local address = table.remove(self.waiting[family])
  self.attempts[tcp], self.last_family = address, family
  self.next_at = uvjobs.now() + ATTEMPT_DELAY
  local request, message, code = luv.tcp_connect(tcp, address, self.port, function(err)
    self.news:try_put(function() return self:ended(tcp, err) end)
  end)
  if not request then self:failed(tcp, message, code) end
end

--- Suspends until an attempt has succeeded, and returns its handle; or nil when all have
--- failed; or nil and "timeout".
---@param due number a point in time, or math.huge
function Race:run(due)
  while true do
    local family, now = self:next_family(), uvjobs.now()
    if family and self.next_at <= now then
      self:try_next(family)
    elseif not family and not next(self.attempts) and not next(self.lookups) then
      return nil
    else
      local until_when = math.min(due, family and self.next_at or math.huge)
      local wait = until_when < math.huge and math.max(0, until_when - now) or nil
      local news = self.news:get(wait)
      local tcp = news and news()
      if tcp then return tcp end
      if not news and uvjobs.now() >= due then return nil, "timeout" end
    end
  end
end

-- What is worth telling beside a timeout: not that the name has no address in one family,
-- when it has one in the other.
function Race:last_failure()
  if NO_ADDRESS[self.code] and next(self.seen) then return nil end
  return self.reason
end

-- ---- results -------------------------------------------------------------------------

local function failure(host, port, message, code)
  local what = addresses.text(host, port)
  return nil, ("cannot connect to %s: %s"):format(what, message), code
end

local function timed_out(host, port, timeout, reason)
  local text = ("cannot connect to %s: no answer within %g s%s"):format(
    addresses.text(host, port), timeout, reason and "; " .. reason or "")
  return nil, "timeout", "ETIMEDOUT", text
end

local function connect_tcp(host, port, timeout, due)
  local race <close> = new_race(host, port)
  race:begin()
  local tcp, reason = race:run(due)
  if tcp then return handles.managed(tcp) end
  if reason then return timed_out(host, port, timeout, race:last_failure()) end
  return failure(host, port, race.reason or "the name has no address", race.code or "EAI_NODATA")
end

-- ---- Unix sockets --------------------------------------------------------------------

-- Returns a connected pipe; or nil, a message and a code.
local function try_pipe(uv, path)
  local pipe = uv.new_pipe(false)
  local done = false
  local _ <close> = setmetatable({}, { __close = function()
    if not done then handles.close(pipe) end
  end })
  local ok, message, code = pipe:connect(path)
  done = ok ~= nil
  if done then return pipe end
  return nil, message, code
end

-- A server whose queue of clients is full refuses a connection that does not block, so this
-- tries again.
local function connect_pipe(uv, path, timeout, due)
  local ok, message, code = addresses.check_path(path)
  if not ok then return failure(path, nil, message, code) end
  while true do
    local pipe
    pipe, message, code = try_pipe(uv, path)
    if pipe then return pipe end
    if code ~= "EAGAIN" then return failure(path, nil, message, code) end
    local left = due - uvjobs.now()
    if left <= 0 then return timed_out(path, nil, timeout, message) end
    uvjobs.sleep(math.min(BUSY_DELAY, left))
  end
end

return function(uv)
  --- Connects to a host by its name or address, or to a Unix socket by its path, which has a
  --- "/" in it. Suspends until it has the connection. Nothing is left open when it fails.
  --- Errors: misuse; `cancelled`, `timeout` and `killed` of the current job.
  ---@param host string
  ---@param port? integer 1 to 65535; nil for a path
  ---@param timeout? number seconds, >= 0, for lookups and attempts; nil for the system's limits
  ---@return userdata|nil stream
  ---@return string|nil reason "timeout"; or a message, with the host, the port and the last
  ---  reason
  ---@return string|nil code of that reason; "ETIMEDOUT" after the timeout
  ---@return string|nil message after the timeout
  function uv.connect(host, port, timeout)
    addresses.check(2, "connect", host, port, 1)
    core.check_timeout(timeout, 3, "connect", 2)
    core.check_suspend("connect", 2)
    if core.interrupted() then uvjobs.yield() end -- raises why the job is to end
    local due = timeout and uvjobs.now() + timeout or math.huge
    if port then return connect_tcp(host, port, timeout, due) end
    return connect_pipe(uv, host, timeout, due)
  end
end
