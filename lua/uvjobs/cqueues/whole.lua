-- The files of cqueues, and of libraries that are built on it, are kept whole: jobs share
-- connections, whose state must not be seen in the middle of a change.

local debian = require "uvjobs.cqueues.debian"
local core = require "uvjobs.core"

core.own_source()

-- Keeps modules whole that are installed, as uvjobs.keep_whole() does.
local function keep(names)
  for name in names:gmatch "%S+" do
    local path = package.searchpath(name, package.path) or debian.find(name)
    if path then core.whole_source("@" .. path) end
  end
end

keep [[
  cqueues cqueues.auxlib cqueues.condition cqueues.errno cqueues.notify cqueues.promise
  cqueues.signal cqueues.socket cqueues.thread cqueues.dns cqueues.dns.config
  cqueues.dns.hints cqueues.dns.hosts cqueues.dns.packet cqueues.dns.record
  cqueues.dns.resolver cqueues.dns.resolvers
  openssl openssl.auxlib openssl.ssl openssl.ssl.context openssl.x509 openssl.x509.chain
  openssl.x509.store openssl.x509.name openssl.x509.verify_param openssl.pkey openssl.rand
]]

-- Not among them are http.request and http.stream_common: they call the others in loops,
-- and between two calls nothing is half done.
keep [[
  http.bit http.client http.connection_common http.cookie http.h1_connection http.h1_stream
  http.h2_connection http.h2_error http.h2_stream http.headers http.hpack http.hsts
  http.proxies http.server http.socks http.tls http.util http.websocket http.zlib
  fifo binaryheap basexx lpeg_patterns.core lpeg_patterns.http lpeg_patterns.http.core
  lpeg_patterns.uri lpeg_patterns.util lpeg_patterns.IPv4 lpeg_patterns.IPv6
  lpeg_patterns.http.cookie lpeg_patterns.http.sts
]]
