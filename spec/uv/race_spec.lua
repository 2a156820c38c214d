-- When uv.connect tries which address: RFC 8305, with lookups and connections that are made up
-- and take virtual time.
local luv = require "luv"
local uvjobs = require "uvjobs"
local uv = require "uvjobs.uv"
local helper = require "spec.helper"
local world = require "spec.uv.helper"

-- What a spec replaces of luv.
local REPLACED <const> = { "getaddrinfo", "cancel", "new_tcp", "tcp_connect", "close" }

local function replace(fakes)
  local originals = {}
  for _, name in ipairs(REPLACED) do originals[name], luv[name] = luv[name], fakes[name] end
  return helper.closing(function()
    for _, name in ipairs(REPLACED) do luv[name] = originals[name] end
  end)
end

local function after(jobs, seconds, fn)
  if not seconds then return end
  jobs:spawn(function()
    uvjobs.sleep(seconds)
    fn()
  end)
end

local function addresses_of(answer)
  local list = {}
  for i, address in ipairs(answer) do list[i] = { addr = address } end
  return list
end

--- A world of names and addresses. `names.inet` and `names.inet6` are what a lookup gives: a
--- list of addresses, or `err`; `after` is how long it takes, for ever without it.
--- `addresses` says the same of connecting.
local function new_world(jobs, names, addresses)
  local seen = { log = {}, closed = {}, cancelled = {} }
  local fakes = {}

  function fakes.getaddrinfo(_, _, hints, callback)
    if hints.numerichost then return nil end
    local answer = names[hints.family]
    after(jobs, answer.after, function()
      callback(answer.err, not answer.err and addresses_of(answer) or nil)
    end)
    return hints.family
  end

  function fakes.cancel(request) seen.cancelled[request] = true end
  function fakes.new_tcp() return {} end
  function fakes.close(tcp) seen.closed[#seen.closed + 1] = tcp.address end

  function fakes.tcp_connect(tcp, address, _, callback)
    tcp.address = address
    seen.log[#seen.log + 1] = ("%.2f %s"):format(uvjobs.now(), address)
    local answer = addresses[address] or {}
    if answer.at_once then return nil, answer.err .. ": at once", answer.err end
    after(jobs, answer.after, function() callback(answer.err) end)
    return true
  end

  seen.fakes = fakes
  return seen
end

-- Connects in such a world. Returns what was seen: the `log` of attempts, what was `closed`
-- and `cancelled`, the `winner`, the results `message` and `code`, and how long it `took`.
local function race(names, addresses, timeout)
  return helper.virtual(function()
    local jobs = helper.quiet()
    local seen = new_world(jobs, names, addresses)
    do
      local _ <close> = replace(seen.fakes)
      local tcp, message, code, text = uv.connect("host", 80, timeout)
      seen.winner, seen.message, seen.code = tcp and tcp.address, message, code
      seen.text = text
    end
    seen.took = uvjobs.now()
    jobs:close()
    return seen
  end)
end

local NOTHING <const> = { after = 0, err = "EAI_NONAME" }

describe("uv.connect", function()
  after_each(world.check_clean)

  it("takes the families in turn, IPv6 first, 250 ms apart", function()
    local seen = race({
      inet6 = { after = 0, "6a", "6b", "6c", "6d" }, inet = { after = 0.01, "4a", "4b" },
    }, { ["6d"] = { after = 0 } })
    assert.same({ "0.00 6a", "0.25 4a", "0.50 6b", "0.75 4b", "1.00 6c", "1.25 6d" }, seen.log)
    assert.equal("6d", seen.winner)
    table.sort(seen.closed)
    assert.same({ "4a", "4b", "6a", "6b", "6c" }, seen.closed)
  end)

  it("takes the next at once when one fails, and the first that connects", function()
    local seen = race({
      inet6 = { after = 0, "6a", "6b" }, inet = { after = 0, "4a", "4b" },
    }, {
      ["6a"] = { after = 0.1, err = "ECONNREFUSED" },
      ["4a"] = { at_once = true, err = "ENETUNREACH" },
      ["6b"] = { after = 0.4 }, ["4b"] = { after = 0.3 },
    })
    assert.same({ "0.00 6a", "0.10 4a", "0.10 6b", "0.35 4b" }, seen.log)
    assert.same({ "6b", 0.5 }, { seen.winner, seen.took })
    assert.same({ "6a", "4a", "4b" }, seen.closed)
  end)

  it("an attempt that was begun early may win late", function()
    local seen = race({ inet6 = { after = 0, "6a" }, inet = { after = 0, "4a" } },
      { ["6a"] = { after = 20 } })
    assert.same({ "6a", 20.0 }, { seen.winner, seen.took })
    assert.same({ "4a" }, seen.closed)
  end)

  it("gives IPv6 addresses 50 ms after those of IPv4, and no more", function()
    local seen = race({ inet6 = { after = 0.14, "6a" }, inet = { after = 0.1, "4a" } },
      { ["6a"] = { after = 0 } })
    assert.same({ "0.14 6a" }, seen.log)
    seen = race({ inet6 = { after = 0.3, "6a" }, inet = { after = 0.1, "4a" } },
      { ["6a"] = { after = 0 } })
    assert.same({ "0.15 4a", "0.40 6a" }, seen.log)
    seen = race({ inet6 = { after = 0.12, err = "EAI_AGAIN" }, inet = { after = 0.1, "4a" } },
      { ["4a"] = { after = 0 } })
    assert.same({ "0.12 4a" }, seen.log)
  end)

  it("does not wait for a lookup without an answer", function()
    local seen = race({ inet6 = {}, inet = { after = 0.1, "4a" } }, { ["4a"] = { after = 0 } })
    assert.same({ "4a", true }, { seen.winner, seen.cancelled.inet6 })
    assert.equal(0.15, math.floor(seen.took * 1000 + 0.5) / 1000)
  end)

  it("waits for the other lookup when all addresses of one have failed", function()
    local seen = race({ inet6 = { after = 0, "6a" }, inet = { after = 3, "4a" } },
      { ["6a"] = { after = 0.1, err = "EHOSTUNREACH" }, ["4a"] = { after = 0 } })
    assert.same({ "0.00 6a", "3.00 4a" }, seen.log)
    assert.equal("4a", seen.winner)
  end)

  it("tries an address once that was found twice", function()
    local seen = race({ inet6 = NOTHING, inet = { after = 0, "4a", "4a", "4b" } },
      { ["4a"] = { after = 0, err = "ECONNREFUSED" }, ["4b"] = { after = 0 } })
    assert.same({ "0.00 4a", "0.00 4b" }, seen.log)
  end)

  it("says why the last attempt has failed, and of which address", function()
    local seen = race({ inet6 = { after = 0, "6a" }, inet = { after = 0, "4a" } },
      { ["6a"] = { after = 9, err = "ETIMEDOUT" }, ["4a"] = { after = 1, err = "ECONNREFUSED" } })
    assert.same({ "cannot connect to host:80: ETIMEDOUT: connection timed out (6a)", "ETIMEDOUT" },
      { seen.message, seen.code })
    assert.equal(9.0, seen.took)
  end)

  it("says why a lookup has failed, rather than that a family has no address", function()
    for _, names in ipairs {
      { inet6 = NOTHING, inet = { after = 1, err = "EAI_AGAIN" } },
      { inet6 = { after = 0, err = "EAI_AGAIN" }, inet = { after = 1, err = "EAI_NODATA" } },
    } do
      assert.equal("EAI_AGAIN", race(names, {}).code)
    end
  end)

  it("its time limit covers the lookups and all attempts", function()
    local seen = race({ inet6 = NOTHING, inet = { after = 1, "4a", "4b" } }, {}, 2)
    assert.same({ "timeout", "ETIMEDOUT", 2.0 }, { seen.message, seen.code, seen.took })
    assert.equal("cannot connect to host:80: no answer within 2 s", seen.text)
    assert.same({ "1.00 4a", "1.25 4b" }, seen.log)
    table.sort(seen.closed)
    assert.same({ "4a", "4b" }, seen.closed)
    seen = race({ inet6 = {}, inet = {} }, {}, 2)
    assert.same({ "timeout", 2.0 }, { seen.message, seen.took })
    assert.same({ inet6 = true, inet = true }, seen.cancelled)
  end)

  it("tries a thousand addresses that fail at once", function()
    local list, addresses = { after = 0 }, {}
    for i = 1, 1000 do
      list[i] = "4." .. i
      addresses[list[i]] = { at_once = true, err = "ENETUNREACH" }
    end
    local seen = race({ inet6 = NOTHING, inet = list }, addresses)
    assert.same({ 1000, 1000, "ENETUNREACH" }, { #seen.log, #seen.closed, seen.code })
  end)
end)
