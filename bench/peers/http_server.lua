--- The servers that bench/http.lua measures, with lua-http. Run as
---   lua5.4 bench/peers/http_server.lua SIDE
--- It prints the port on which it listens, and serves until it is killed.

local SLEEP <const> = 0.05 -- seconds, of the handler that waits
local LIMIT <const> = 50 -- of its scheduler

-- Where Debian has lua-http; plain lua-http does not look there by itself.
if not package.searchpath("http.server", package.path) then
  package.path = package.path .. ";/usr/share/lua/5.3/?.lua;/usr/share/lua/5.3/?/init.lua" ..
    ";/usr/share/lua/5.2/?.lua;/usr/share/lua/5.2/?/init.lua"
end

local http_server = require "http.server"
local new_headers = require "http.headers".new

local function answer(stream)
  local headers = new_headers()
  headers:append(":status", "200")
  headers:append("content-type", "text/plain")
  stream:write_headers(headers, false)
  stream:write_chunk("hello", true)
end

local function handle(_, stream)
  stream:get_headers()
  answer(stream)
end

local function listen(onstream)
  local server = assert(http_server.listen {
    host = "127.0.0.1", port = 0, tls = false, onstream = onstream,
    onerror = function() end, -- clients that end in the middle of something
  })
  assert(server:listen())
  local _, _, port = server:localname()
  io.stdout:write(port, "\n"):flush()
  return server
end

local function serve(onstream, options)
  local uvjobs = require "uvjobs"
  local http = require "uvjobs.http"
  options.exception_handler = function() end
  uvjobs.run(function()
    local server = listen(onstream)
    http.setup(server, options)
    http.serve(server)
  end)
end

--- The same handler in two threads, where it can use nothing of this file.
local function serve_in_threads()
  local uvjobs = require "uvjobs"
  local http = require "uvjobs.http"
  uvjobs.run(function()
    local server <close> = http.server {
      threads = 2, port = 0, exception_handler = function() end, onerror = function() end,
      onstream = function(_, stream)
        stream:get_headers()
        local headers = require "http.headers".new()
        headers:append(":status", "200")
        headers:append("content-type", "text/plain")
        stream:write_headers(headers, false)
        stream:write_chunk("hello", true)
      end,
    }
    io.stdout:write(server:port(), "\n"):flush()
    server:wait()
  end)
end

local SIDES <const> = {
  plain = function() assert(listen(handle):loop()) end,

  uvjobs = function() serve(handle, {}) end,

  threads = serve_in_threads,

  limited = function()
    local uvjobs = require "uvjobs"
    serve(function(_, stream)
      stream:get_headers() -- the client may go away from here on
      uvjobs.sleep(SLEEP)
      answer(stream)
    end, { limit = LIMIT })
  end,
}

local side = SIDES[arg[1]]
if not side then
  io.stderr:write("usage: http_server.lua plain|uvjobs|threads|limited\n")
  os.exit(2)
end
collectgarbage(os.getenv "UVJOBS_BENCH_GC" or "generational")
side()
