--- Every operation of uvjobs.uv that waits, for the specs that disturb them. Each has:
--- - `name`
--- - `make(env)`: makes what the operation needs, and adds handles to the list `env.open`
--- - `call(env)`: the operation, which suspends
--- - `arrive(env)`: makes the result arrive; nil when the operation ends by itself
--- - `again`: whether `call` can be done again after a call that was given up
--- - `env.spoiled`: the handle that is closed after a call that was given up
local luv = require "luv"
local uvjobs = require "uvjobs"
local uv = require "uvjobs.uv"
local world = require "spec.uv.helper"

-- More than the buffers of two sockets take.
local HUGE <const> = ("x"):rep(16 * 1024 * 1024)
local OCTAL_600 <const> = tonumber("600", 8)

local function add(env, ...)
  for _, value in ipairs { ... } do
    if type(value) == "userdata" then table.insert(env.open, value) end
  end
  return ...
end

local function tcp(env) env.left, env.right = add(env, world.tcp_pair()) end
local function pipe(env) env.left, env.right = add(env, world.pipe_pair(true)) end

-- A writer's handle is closed when it gives up.
local function spoil(make)
  return function(env)
    make(env)
    env.spoiled = env.left
  end
end

local function server(env) env.server, env.port = add(env, world.server()) end

local function drains(env)
  env.drain = env.drain or env.jobs:spawn(function()
    repeat until not env.right:read_some() -- also when it is closed
  end)
end

local function joins(env)
  local client = add(env, uv.new_tcp())
  client:connect("127.0.0.1", env.port, function() end)
end

local function takes(env, client)
  if client then add(env, client) end
  return client
end

local function loop_handle(kind)
  return {
    name = kind .. ":next", again = true,
    make = function(env) env.handle = add(env, uv["new_" .. kind]()) end,
    call = function(env) return env.handle:next() end,
  }
end

local function with_file(env)
  env.path = world.file("some text")
  table.insert(env.files, env.path)
end

local function with_descriptor(env)
  with_file(env)
  env.fd = assert(luv.fs_open(env.path, "r+", OCTAL_600))
  table.insert(env.descriptors, env.fd)
end

--- Those that luv's threads do.
local requests = {
  { name = "fs_stat", call = function() return uv.fs_stat("/") end },
  { name = "fs_open", call = function()
    local fd = uv.fs_open("/dev/null", "r", 0)
    return fd and luv.fs_close(fd)
  end },
  { name = "fs_opendir", call = function()
    local dir = uv.fs_opendir("/")
    return dir and luv.fs_closedir(dir)
  end },
  { name = "fs_mkdtemp", call = function(env)
    local path = uv.fs_mkdtemp(env.template)
    return path and luv.fs_rmdir(path)
  end },
  { name = "fs_mkstemp", call = function(env)
    local fd, path = uv.fs_mkstemp(env.template)
    return fd and luv.fs_close(fd) and luv.fs_unlink(path)
  end },
  { name = "fs_read", make = with_descriptor,
    call = function(env) return uv.fs_read(env.fd, 4, 0) end },
  { name = "fs_write", make = with_descriptor,
    call = function(env) return uv.fs_write(env.fd, "text", 0) end },
  { name = "fs_scandir", call = function() return uv.fs_scandir("/") end },
  { name = "fs_copyfile", make = with_file,
    call = function(env) return uv.fs_copyfile(env.path, env.path) ~= nil or true end },
  { name = "getaddrinfo", call = function()
    return uv.getaddrinfo("127.0.0.1", nil, { numerichost = true })
  end },
  { name = "getnameinfo", call = function()
    return uv.getnameinfo { ip = "127.0.0.1", port = 80 }
  end },
}

local others = {
  { name = "random", call = function() return uv.random(8) end },
  { name = "work:queue", threads = true,
    make = function(env) env.work = uv.new_work(function() return true end) end,
    call = function(env) return env.work:queue() end },
  { name = "tcp:connect", make = function(env)
      server(env)
      env.spoiled = add(env, uv.new_tcp())
    end,
    call = function(env) return env.spoiled:connect("127.0.0.1", env.port) end },
  { name = "stream:write", make = spoil(tcp), arrive = drains,
    call = function(env) return env.left:write(HUGE) end },
  { name = "stream:write of a list", make = spoil(pipe), arrive = drains,
    call = function(env) return env.left:write { "x", HUGE } end },
  { name = "stream:write2", make = spoil(pipe),
    call = function(env) return env.left:write2("x", env.right) end },
  { name = "stream:shutdown", arrive = drains,
    make = function(env)
      spoil(tcp)(env)
      env.left:try_write(HUGE)
      luv.write(env.left, HUGE) -- more than what buffers that grow still take
    end,
    call = function(env) return env.left:shutdown() end },
  { name = "stream:read_some", make = tcp, again = true,
    arrive = function(env) env.right:try_write("x") end,
    call = function(env) return env.left:read_some() end },
  { name = "stream:chunks", make = pipe, again = true,
    arrive = function(env) env.right:try_write("x") end,
    call = function(env) return env.left:chunks()() end },
  { name = "stream:read_line", make = tcp, again = true,
    arrive = function(env) env.right:try_write("x\n") end,
    call = function(env) return env.left:read_line() end },
  { name = "stream:lines", make = pipe, again = true,
    arrive = function(env) env.right:try_write("x\n") end,
    call = function(env) return env.left:lines()() end },
  { name = "stream:read_exactly", make = tcp, again = true,
    arrive = function(env) env.right:try_write("xy") end,
    call = function(env) return env.left:read_exactly(2) end },
  { name = "uv.connect", make = server, again = true,
    call = function(env) return takes(env, uv.connect("localhost", env.port)) end },
  { name = "uv.connect to a number", make = server, again = true,
    call = function(env) return takes(env, uv.connect("127.0.0.1", env.port)) end },
  { name = "server:next", make = server, arrive = joins, again = true,
    call = function(env) return takes(env, env.server:next()) end },
  { name = "server:connections", make = server, arrive = joins, again = true,
    call = function(env) return takes(env, env.server:connections()()) end },
  { name = "handle:close",
    make = function(env) env.handle = uv.new_timer() end,
    call = function(env) env.handle:close() return true end },
  { name = "udp:receive", again = true,
    make = function(env)
      env.left, env.right = add(env, uv.new_udp(), uv.new_udp())
      env.left:bind("127.0.0.1", 0)
      env.port = env.left:getsockname().port
    end,
    arrive = function(env) env.right:try_send("x", "127.0.0.1", env.port) end,
    call = function(env) return env.left:receive() end },
  { name = "fs_event:next", again = true,
    make = function(env)
      with_file(env)
      env.handle = add(env, uv.new_fs_event())
      env.handle:start(env.path)
    end,
    arrive = function(env) os.execute("echo x >>" .. env.path) end,
    call = function(env) return env.handle:next() end },
  { name = "signal:next", again = true,
    make = function(env)
      env.handle = add(env, uv.new_signal())
      env.handle:start("sighup")
    end,
    arrive = function() luv.kill(luv.os_getpid(), "sighup") end,
    call = function(env) return env.handle:next() end },
  { name = "timer:next", again = true,
    make = function(env)
      env.handle = add(env, uv.new_timer())
      env.handle:start(1000000)
    end,
    arrive = function(env) env.handle:start(1) end,
    call = function(env) return env.handle:next() end },
  { name = "poll:next", again = true,
    make = function(env)
      local fds = assert(luv.pipe())
      env.handle, env.fd = add(env, uv.new_poll(fds.read)), fds.write
      env.handle:start("r")
      table.insert(env.descriptors, fds.read)
      table.insert(env.descriptors, fds.write)
    end,
    arrive = function(env) luv.fs_write(env.fd, "x") end,
    call = function(env) return env.handle:next() end },
  { name = "async:next", again = true,
    make = function(env) env.handle = add(env, uv.new_async()) end,
    arrive = function(env) env.handle:send("x") end,
    call = function(env) return env.handle:next() end },
  loop_handle "idle", loop_handle "prepare", loop_handle "check",
  { name = "process:wait", again = true,
    make = function(env)
      env.handle = add(env, assert(uv.spawn("cat", { stdio = { add(env, uv.new_pipe()) } })))
    end,
    arrive = function(env) env.open[1]:close() end,
    call = function(env) return env.handle:wait() end },
}

local operations = { requests = requests, all = {} }
for _, list in ipairs { requests, others } do
  for _, operation in ipairs(list) do table.insert(operations.all, operation) end
end

local function release(env)
  for _, handle in ipairs(env.open) do handle:close() end
  env.jobs:close()
  for _, fd in ipairs(env.descriptors) do luv.fs_close(fd) end
  for _, path in ipairs(env.files) do os.remove(path) end
end

--- Calls `fn(operation, env)` in a job, with what the operation needs.
function operations.with(operation, fn)
  local directory = world.file()
  os.remove(directory)
  luv.fs_mkdir(directory, tonumber("700", 8))
  local env = {
    open = {}, descriptors = {}, files = {}, directory = directory,
    template = directory .. "/XXXXXX",
    errors = {},
  }
  uvjobs.run(function()
    env.jobs = uvjobs.scheduler {
      exception_handler = function(_, context)
        if context.message ~= "Job closing timed out" then
          table.insert(env.errors, tostring(context.exception))
        end
      end,
    }
    if operation.make then operation.make(env) end
    local ok, err = xpcall(fn, debug.traceback, operation, env)
    release(env)
    if not ok then error(err, 0) end
  end)
  if operation.threads then world.allow_threads() end
  world.drain()
  assert(luv.fs_rmdir(directory), "something is left of " .. operation.name)
  return env
end

return operations
