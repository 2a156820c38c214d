-- Addresses as uv.connect and uv.serve take them: a host and a port, or the path of a Unix
-- socket without a port.

local luv = require "luv"
local core = require "uvjobs.core"
local arguments = require "uvjobs.arguments"
local errors = require "uvjobs.uv.errors"

core.own_source()

local addresses = {}

-- The system has this much room for the path of a Unix socket, and a zero byte after it.
-- libuv cuts off what is longer.
local MAX_PATH <const> = 107

local function problem_of_host(host)
  if type(host) ~= "string" then return arguments.unexpected("string", host) end
  if host == "" or host:find "\0" then
    return "string that is not empty and has no zero byte expected"
  end
end

local function problem_of_port(port, least)
  if port == nil then return nil end
  if math.type(port) == "integer" and port >= least and port <= 65535 then return nil end
  return ("integer from %d to 65535 expected, got %s"):format(
    least, type(port) == "number" and tostring(port) or core.typename(port))
end

--- Raises unless these are good arguments #1 and #2.
---@param level integer whom the error blames, counted as for error()
---@param name string of the function
---@param host any
---@param port any nil for a path
---@param least integer the lowest port that makes sense
function addresses.check(level, name, host, port, least)
  local problem = problem_of_host(host)
  if problem then arguments.fail(level + 1, 1, name, problem) end
  problem = problem_of_port(port, least)
  if problem then arguments.fail(level + 1, 2, name, problem) end
  if port == nil and not host:find "/" then
    arguments.fail(level + 1, 2, name,
      "port expected, got nil; only a path with a '/' in it has none")
  end
end

-- Bytes of a host that are shown: no name is longer.
local MAX_SHOWN <const> = 255

--- Returns the address for messages.
function addresses.text(host, port)
  if #host > MAX_SHOWN then host = host:sub(1, MAX_SHOWN) .. "..." end
  if not port then return host end
  return (host:find ":" and "[%s]:%d" or "%s:%d"):format(host, port)
end

--- Returns nil, a message and a code when a path is too long for a Unix socket.
function addresses.check_path(path)
  if #path <= MAX_PATH then return true end
  return errors.results_of "ENAMETOOLONG"
end

local numeric = { socktype = "stream", numerichost = true }

--- Returns the address and its family when `host` is an address and no name; else nil. This
--- asks nobody, so it does not wait.
---@return string? address as luv takes it
---@return string? family "inet" or "inet6"
function addresses.of_number(host)
  local list = luv.getaddrinfo(host, nil, numeric)
  if not list or not list[1] then return nil end
  -- What luv gives lacks the zone of an address like fe80::1%eth0.
  return host:find "%%" and host or list[1].addr, list[1].family
end

return addresses
