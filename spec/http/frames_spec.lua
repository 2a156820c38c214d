-- HTTP/2: frames that come in pieces and together are all heard, whoever reads them: the job
-- that waits for the body of its request, or the coroutine of the connection.
local web = require "spec.http.helper"
local helper = require "spec.helper"
local uvjobs = require "uvjobs"
local uv = require "uvjobs.uv"

local DATA <const>, HEADERS <const>, SETTINGS <const> = 0, 1, 4
local PING <const>, WINDOW_UPDATE <const> = 6, 8
local END_STREAM <const>, END_HEADERS <const> = 1, 4

local function frame(kind, flags, id, payload)
  return string.pack(">I3 B B I4", #payload, kind, flags, id) .. payload
end

local PREFACE <const> = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" .. frame(SETTINGS, 0, 0, "")

-- A block of header fields, none of them compressed.
local function block(method, path)
  local pieces = {}
  for _, field in ipairs { { ":method", method }, { ":scheme", "http" }, { ":authority", "a" },
    { ":path", path } } do
    pieces[#pieces + 1] = "\0" .. string.pack("s1s1", field[1], field[2])
  end
  return table.concat(pieces)
end

local function get(id, path)
  return frame(HEADERS, END_HEADERS | END_STREAM, id, block("GET", path))
end

local function post(id, path)
  return frame(HEADERS, END_HEADERS, id, block("POST", path))
end

-- A connection that has begun, and is closed when the block is left. It is luv's: the client
-- must not be among those for whom cqueues waits.
local function connect(site)
  local socket = assert(uv.connect("127.0.0.1", site.port))
  assert(socket:write(PREFACE))
  return socket, helper.closing(function() socket:close() end)
end

-- The job and the coroutine of the connection wait for the same descriptor, and who is the
-- first to read changes with each frame that wakes both.
local function change_order(socket, round)
  uvjobs.sleep(0.001)
  for _ = 1, round * round * 7 // 5 % 4 do
    assert(socket:write(frame(PING, 0, 0, "pingping")))
    uvjobs.sleep(0.001)
  end
end

describe("HTTP/2, frame by frame", function()
  after_each(web.check_clean)

  it("a frame that comes in two pieces is heard while windows are updated", function()
    local received = 0
    web.serve({ ["/"] = function(stream)
      for chunk in function() return stream:get_next_chunk() end do
        received = received + #chunk
      end
      web.respond(stream, "200", "all")
    end }, { intra_stream_timeout = 600 }, function(site)
      local socket, _ <close> = connect(site)
      assert(socket:write(post(1, "/")))
      local payload = ("x"):rep(100)
      for round = 1, 60 do
        change_order(socket, round)
        -- The handler takes the first frame, and sends updates, when the head of the second
        -- has been read, and its payload is waited for.
        assert(socket:write(frame(DATA, 0, 1, payload) .. frame(DATA, 0, 1, payload):sub(1, 9)))
        web.wait_until(function() return received == 200 * round - 100 end, "the first frame")
        assert(socket:write(payload))
        web.wait_until(function() return received == 200 * round end, "the second frame")
      end
    end)
  end)

  it("a request behind another's body is heard while that one's handler is busy", function()
    local came, go = 0, uvjobs.event()
    web.serve({ ["/"] = function(stream)
      for _ in function() return stream:get_next_chunk() end do
        go:wait()
        go:clear()
      end
    end, ["/other"] = function(stream)
      came = came + 1
      web.respond(stream, "200", "came")
    end }, { intra_stream_timeout = 600 }, function(site)
      local socket, _ <close> = connect(site)
      assert(socket:write(post(1, "/")))
      for round = 1, 60 do
        change_order(socket, round)
        assert(socket:write(frame(DATA, 0, 1, "x") .. get(2 * round + 1, "/other")))
        web.wait_until(function() return came == round end, "the other request")
        go:set()
      end
    end)
  end)

  it("a body larger than all windows comes whole, in frames of any size", function()
    for _, size in ipairs { 1, 65535, 65536, 100000, 1000000 } do
      local received
      web.serve({ ["/"] = function(stream)
        received = assert(stream:get_body_as_string())
        web.respond(stream, "200", "all")
      end }, nil, function(site)
        local socket, _ <close> = connect(site)
        local body, at, windows = ("0123456789"):rep(size // 10 + 1):sub(1, size), 1, 65535
        assert(socket:write(post(1, "/")))
        local jobs <close> = uvjobs.scheduler()
        local granted, grants = uvjobs.event(), { [0] = 0, 0 }
        local reader = jobs:spawn(function()
          while true do
            local head = assert(socket:read_exactly(9))
            local length, kind, flags, id = string.unpack(">I3 B B I4", head)
            local payload = length > 0 and assert(socket:read_exactly(length)) or ""
            if kind == WINDOW_UPDATE then
              grants[id] = grants[id] + string.unpack(">I4", payload)
              granted:set()
            end
            if flags & END_STREAM ~= 0 and kind <= HEADERS and id == 1 then return true end
          end
        end)
        while at <= #body do
          local room = windows + math.min(grants[0], grants[1]) - (at - 1)
          local n = math.min(room, math.random(16384), #body - at + 1)
          if n > 0 then
            local last = at + n > #body and END_STREAM or 0
            assert(socket:write(frame(DATA, last, 1, body:sub(at, at + n - 1))))
            at = at + n
          else
            granted:clear()
            granted:wait()
          end
        end
        assert.is_true(reader:wait())
        assert.is_true(body == received)
      end)
    end
  end)
end)
