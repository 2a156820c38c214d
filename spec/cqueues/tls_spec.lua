-- TLS by cqueues' sockets in jobs: as docs/io.md shows it.
debug.sethook() -- makes a table in the registry, the first time

local uvjobs = require "uvjobs"
require "uvjobs.cqueues"
local cqueues_socket = require "cqueues.socket"
local pkey = require "openssl.pkey"
local ssl = require "openssl.ssl"
local context = require "openssl.ssl.context"
local x509 = require "openssl.x509"
local altname = require "openssl.x509.altname"
local name = require "openssl.x509.name"
local store = require "openssl.x509.store"
local verify_param = require "openssl.x509.verify_param"

local key, certificate = pkey.new { type = "EC", curve = "prime256v1" }, x509.new()
certificate:setVersion(3)
certificate:setSubject(name.new():add("CN", "localhost"))
certificate:setIssuer(certificate:getSubject())
certificate:setSubjectAlt(altname.new():add("DNS", "localhost"))
certificate:setLifetime(os.time() - 3600, os.time() + 3600)
certificate:setPublicKey(key)
certificate:sign(key)

local function server_context()
  local new = context.new("TLS", true)
  new:setCertificate(certificate)
  new:setPrivateKey(key)
  return new
end

-- A session of a client that trusts our certificate, and expects this host.
local function client_session(host)
  local new = context.new("TLS", false)
  new:setStore(store.new():add(certificate))
  new:setVerify(context.VERIFY_PEER)
  local params = verify_param.new()
  params:setHost(host)
  local session = ssl.new(new)
  session:setParam(params)
  return session
end

-- The first handshake registers values of luaossl, so one is made before spec.helper looks.
uvjobs.run(function()
  local left, right = cqueues_socket.pair()
  local jobs = uvjobs.scheduler()
  local server = jobs:spawn(right.starttls, right, server_context())
  assert(left:starttls(client_session "localhost"))
  left:checktls():getPeerCertificate():getSubject()
  server:wait()
  left:close()
  right:close()
end)

local helper = require "spec.helper"

local in_run = helper.in_run

-- Calls fn(left, right, jobs) with the ends of a connection, and closes them.
local function with_pair(fn)
  return in_run(function()
    local left, right = cqueues_socket.pair()
    for _, socket in ipairs { left, right } do
      socket:onerror(function(_, _, code) return code end)
    end
    local _ <close> = helper.closing(function()
      left:close()
      right:close()
    end)
    local jobs <close> = helper.quiet()
    fn(left, right, jobs)
  end)
end

describe("TLS in jobs", function()
  after_each(helper.check_clean)

  it("carries what both sides write", with_pair(function(left, right, jobs)
    local server = jobs:spawn(function()
      assert(right:starttls(server_context()))
      for line in right:lines() do
        right:write(line:upper(), "\n")
        right:flush()
      end
    end)
    assert(left:starttls(client_session "localhost"))
    assert.equal("localhost", tostring(left:checktls():getPeerCertificate():getSubject())
      :match "CN=([^/]+)")
    for i = 1, 100 do
      left:write(("message "):rep(i), "\n")
      left:flush()
      assert.equal(("MESSAGE "):rep(i), left:read("*l"))
    end
    left:shutdown("w")
    server:wait()
  end))

  it("refuses the certificate of another host", with_pair(function(left, right, jobs)
    jobs:spawn(function() right:starttls(server_context()) end)
    local ok, code = left:starttls(client_session "example.org")
    assert.is_nil(ok)
    assert.is_truthy(code)
    left:close()
  end))

  it("waits for the handshake no longer than it may, beside other jobs",
    with_pair(function(left, _, jobs)
      local ticks = 0
      jobs:spawn(function()
        while true do
          uvjobs.sleep(0.001)
          ticks = ticks + 1
        end
      end)
      left:settimeout(0.05)
      assert.is_nil((left:starttls(client_session "localhost")))
      assert.is_true(ticks > 1)
      jobs:close()
    end))

  it("is left in the middle of a handshake by cancelling and by a deadline",
    with_pair(function(left, right, jobs)
      local job = jobs:spawn(left.starttls, left, client_session "localhost")
      uvjobs.sleep(0.01)
      job:cancel()
      job:join()
      assert.equal("cancelled", job.state)
      helper.raises("timeout", uvjobs.timeout, 0.01, right.starttls, right, server_context())
    end))
end)
