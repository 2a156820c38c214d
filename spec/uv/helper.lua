--- What the specs of uvjobs.uv share: fixtures, and the count of what is open.
--- Load it with `require "spec.uv.helper"` before any spec of the file runs.
local assert = require "luassert"
local luv = require "luv"
local uvjobs = require "uvjobs"
local uv = require "uvjobs.uv"
local files = require "spec.files"
local helper = require "spec.helper"

local world = {}

-- ---- what is open --------------------------------------------------------------

-- New descriptors get the lowest number that is free.
local HIGHEST <const> = 255

--- The process's descriptors: what each of them is, by number.
function world.descriptors()
  local open = {}
  for fd = 0, HIGHEST do
    open[fd] = luv.fs_readlink("/proc/self/fd/" .. fd) or nil
  end
  return open
end

--- The handles of luv's loop: the type of each, by its text.
function world.handles()
  local open = {}
  luv.walk(function(handle) open[tostring(handle)] = luv.handle_get_type(handle) end)
  return open
end

local function list(open, before)
  local lines = {}
  for key, what in pairs(open) do
    if before[key] ~= what then lines[#lines + 1] = key .. " " .. what end
  end
  table.sort(lines)
  return lines
end

local before

-- The references in the registry, which luv and others hold.
local function references()
  local set = {}
  for key, value in pairs(debug.getregistry()) do
    if math.type(key) == "integer" and type(value) ~= "number" then set[key] = true end
  end
  return set
end

local function remember()
  before = {
    handles = world.handles(), descriptors = world.descriptors(),
    alive = luv.loop_alive(), registry = references(),
  }
end

--- What is open that was not open when the file began: two lists.
function world.left()
  return list(world.handles(), before.handles), list(world.descriptors(), before.descriptors)
end

-- How often drain() looks, each millisecond, whether luv's threads are done.
local PATIENCE <const> = 2000

--- Lets luv's loop come to rest, outside jobs.
function world.drain()
  for _ = 1, PATIENCE do
    luv.run("nowait")
    if luv.loop_alive() == before.alive then
      local handles, descriptors = world.left()
      if #handles + #descriptors == 0 then return end
    end
    luv.sleep(1)
  end
end

-- luv 1.44 never releases the requests and the callbacks of these functions, which is no defect of
-- ours.
local KEPT_BY_LUV <const> = { fs_scandir = true, random = true }

--- Forgets the requests of the function of luv with this name, if luv does not.
function world.forget_requests(name)
  if not KEPT_BY_LUV[name] then return end
  local registry = debug.getregistry()
  for key, value in pairs(registry) do
    local meta = type(value) == "userdata" and debug.getmetatable(value)
    local request = meta and (meta == registry.uv_fs or meta == registry.uv_req)
    if math.type(key) == "integer" and not before.registry[key]
      and (request or type(value) == "function") then
      registry[key] = nil
    end
  end
end

--- Lets the requests end that are under way, outside jobs.
function world.drain_requests()
  while luv.loop_alive() ~= before.alive do luv.run("nowait") end
end

--- For after_each: helper.check_clean, no handle and no descriptor is left, and no
--- request is under way.
function world.check_clean()
  world.drain()
  helper.check_clean()
  local handles, descriptors = world.left()
  local alive = before.alive
  remember() -- what is left is told once
  assert.same({}, handles)
  assert.same({}, descriptors)
  assert.equal(alive, luv.loop_alive())
end

-- The first use of some parts of libuv opens descriptors that stay.
local function warm_up()
  uvjobs.run(function()
    uvjobs.sleep(0.001)
    for _, name in ipairs { "signal", "fs_event" } do
      local handle <close> = uv["new_" .. name]()
      assert(handle:start(name == "signal" and "sighup" or "."))
    end
    local server <close> = uv.new_tcp()
    assert(server:listen(1))
    local process <close> = assert(uv.spawn("true", {}))
    process:wait()
  end)
  for _ = 1, 3 do luv.run("nowait") end
end

warm_up()
remember()

--- Counts the descriptors anew. A thread of luv that has run Lua keeps a loop of its own, and that
--- has descriptors.
function world.allow_threads()
  world.drain_requests()
  collectgarbage() -- luv releases the pieces of work only then
  collectgarbage()
  before.descriptors = world.descriptors()
end

--- The same as check_clean for what has run Lua in luv's threads.
function world.check_clean_threads()
  world.allow_threads()
  world.check_clean()
end

-- ---- files -----------------------------------------------------------------------

--- The name of a new file with this text. It has to be removed.
function world.file(text)
  return files.temporary(text or "")
end

--- The text of a file, or nil.
function world.text(path)
  local file = io.open(path)
  if not file then return nil end
  local text = file:read("a")
  file:close()
  return text
end

-- ---- streams ---------------------------------------------------------------------

--- A TCP server on a free port, and that port.
function world.server(backlog)
  local server = uv.new_tcp()
  assert(server:bind("127.0.0.1", 0))
  assert(server:listen(backlog or 16))
  return server, server:getsockname().port
end

--- The two ends of a TCP connection.
function world.tcp_pair()
  local server <close>, port = world.server()
  local client = uv.new_tcp()
  assert(client:connect("127.0.0.1", port))
  return client, assert(server:next())
end

--- The two ends of a connected pair of pipes.
function world.pipe_pair(ipc)
  local fds = assert(uv.socketpair("stream", nil, { nonblock = true }, { nonblock = true }))
  local left, right = uv.new_pipe(ipc), uv.new_pipe(ipc)
  assert(left:open(fds[1]))
  assert(right:open(fds[2]))
  return left, right
end

-- ---- waiting ---------------------------------------------------------------------

--- Gives way until `fn()` is true.
function world.wait_until(fn)
  while not fn() do uvjobs.yield() end
end

--- Gives way until the job is suspended, after it has begun.
function world.settle(job)
  local seen
  repeat
    seen = job.resumes
    uvjobs.yield()
  until job.resumes > 0 and job.resumes == seen
end

--- Calls `fn(...)` with a job beside it, and returns whether that one ran before
--- the call had returned, and the call's results.
function world.suspends(fn, ...)
  local jobs <close> = uvjobs.scheduler()
  local ran = false
  jobs:spawn(function() ran = true end)
  local results = table.pack(fn(...))
  return ran, table.unpack(results, 1, results.n)
end

return world
