-- luv's functions that take a callback, as calls that suspend the job.

local luv = require "luv"
local uvjobs = require "uvjobs"
local core = require "uvjobs.core"
local errors = require "uvjobs.uv.errors"

core.own_source()

local calls = {}

local unpack = table.unpack

local function is_callable(value)
  if type(value) == "function" then return true end
  local meta = debug.getmetatable(value)
  return meta ~= nil and type(value) ~= "string" and meta.__call ~= nil
end

calls.is_callable = is_callable

-- ---- callbacks of the user's own ---------------------------------------------

local function fail(job, err, traceback)
  if core.fail(job, err, traceback) then return end
  job.scheduler:call_exception_handler {
    message = "Callback failed",
    job = job,
    exception = err,
    traceback = traceback,
  }
end

-- The job for which a callback runs.
local behalf

--- A callback that a job gives to luv, or another callback of the job: when it
--- raises, the job fails. Others are left alone, and luv ends the process then.
function calls.guard(callback)
  local job = uvjobs.current() or behalf
  if not job or not is_callable(callback) then return callback end
  local function handler(err)
    fail(job, err, debug.traceback(nil, 2))
  end
  return function(...)
    local before = behalf
    behalf = job
    xpcall(callback, handler, ...)
    behalf = before
  end
end

-- walk() calls its callback before it returns: the error is the caller's.
local function walk(callback)
  local ok, err = true, nil
  luv.walk(is_callable(callback) and function(handle)
    if ok then ok, err = pcall(callback, handle) end
  end or callback)
  if not ok then error(err, 0) end
end

local guard = calls.guard

-- ---- calls -------------------------------------------------------------------

-- luv's message, without the module's name that it found for itself. The arguments
-- of methods are counted without `self`.
local function misuse(message, level, method)
  message = tostring(message):gsub("'luv%.", "'", 1)
  if method then
    message = message:gsub("^bad argument #(%d+) to '[%w_]+'", function(n)
      return ("bad argument #%d to '%s'"):format(n - 1, method)
    end)
  end
  error(message, level + 1)
end

--- Calls a function of luv; what it raises is blamed on the caller at that level.
function calls.call(level, fn, ...)
  local results = table.pack(pcall(fn, ...))
  if not results[1] then misuse(results[2], level + 1) end
  return unpack(results, 2, results.n)
end

--- One call that waits for a callback: a to-be-closed variable. Whichever way the
--- job leaves it, it is given up unless the job has got the results.
---@class uvjobs.uv.Operation
---@field call table see calls.new
---@field args table the arguments, also to keep them alive
---@field request? any what luv has returned
---@field results? table what the callback was given
---@field taken boolean the job has got them
---@field begun boolean something has been done already
local Operation = {}
Operation.__index = Operation

-- The callback comes in any case, maybe when the job has left.
function Operation:start(resume)
  local call, args = self.call, self.args
  args[call.at] = function(...)
    self.results = table.pack(...)
    if call.on_end then call.on_end(args[1]) end
    if self.left then self:undo() else resume() end
  end
  args.n = math.max(args.n, call.at)
  local started = table.pack(pcall(call.fn, unpack(args, 1, args.n)))
  if not started[1] then
    self.misused = started[2]
  elseif started[2] then
    self.request = started[2]
    if call.on_start then call.on_start(args[1]) end
    return
  else
    self.refused = started
  end
  self.taken = true
  resume()
end

-- What was made in the meantime goes again.
function Operation:undo()
  local call = self.call
  if call.undo and self.results[1] == nil then
    call.undo(unpack(self.results, 2, self.results.n))
  end
end

function Operation:__close()
  if self.taken then return end
  self.left = true
  if self.call.abandon then
    if self.request or self.begun then self.call.abandon(self.args[1]) end
  elseif self.results then
    self:undo()
  elseif self.request then
    self.call.cancel(self.request)
  end
end

local function returned(err, ...)
  if err ~= nil then return errors.results(err) end
  if select("#", ...) == 0 then return true end
  return ...
end

-- Suspends until the callback has come. With `begun` the call is given up also when
-- nothing was started.
local function run(call, args, begun)
  local operation <close> = setmetatable(
    { call = call, args = args, begun = begun, taken = false, left = false }, Operation)
  uvjobs.await(function(resume) operation:start(resume) end)
  operation.taken = true
  if operation.misused then
    misuse(operation.misused, 2, call.abandon and call.name)
  end
  if operation.refused then return nil, operation.refused[3], operation.refused[4] end
  return returned(unpack(operation.results, 1, operation.results.n))
end

calls.run = run

-- Whether the arguments have a callback.
local function has_callback(call, ...)
  return is_callable((select(call.at, ...))) or
    (call.early ~= nil and is_callable((select(call.early, ...))))
end

local function with_guard(call, ...)
  local args = table.pack(...)
  local at = is_callable(args[call.at]) and call.at or call.early
  args[at] = guard(args[at])
  return calls.call(1, call.fn, unpack(args, 1, args.n))
end

local function ignore() end

-- Some functions of luv give a number where others give a request.
local function cancel_request(request)
  if type(request) == "userdata" then luv.cancel(request) end
end

--- The function for users. `call` has luv's function `fn`, its `name`, and `at`,
--- the place of its callback; `early` is another place where luv takes one.
--- When the job leaves early, `abandon` is called with the first argument; or
--- without it `cancel` with the request, or when that is done already, `undo` with
--- its results. One that `releases` something does so also in a job that is to
--- end, at once.
function calls.new(call)
  call.cancel = call.cancel or (call.releases and ignore) or cancel_request
  return function(...)
    if has_callback(call, ...) then return with_guard(call, ...) end
    if not uvjobs.current() or (call.releases and core.interrupted()) then
      return call.fn(...)
    end
    core.check_suspend(call.name, 2)
    return run(call, table.pack(...))
  end
end

-- ---- requests: files, names, random numbers -----------------------------------

local function close_file(fd)
  luv.fs_close(fd, ignore)
end

-- What has been made in the meantime goes again.
local UNDO <const> = {
  fs_open = close_file,
  fs_opendir = function(dir) luv.fs_closedir(dir, ignore) end,
  fs_mkdtemp = function(path) luv.fs_rmdir(path, ignore) end,
  fs_mkstemp = function(fd, path)
    close_file(fd)
    luv.fs_unlink(path, ignore)
  end,
}

local RELEASES <const> = { fs_close = true, fs_closedir = true }

-- The callback may stand in the place of an argument that may be left out.
local EARLY <const> = { fs_read = 3, fs_write = 3, fs_copyfile = 3, fs_symlink = 3 }

-- libuv frees a directory that is closed while a thread reads it. So closing waits
-- for the requests, also for those that were given up.
local reading = setmetatable({}, { __mode = "k" }) -- how many, by directory
local when_idle = setmetatable({}, { __mode = "k" })   -- what to do then

local function begin_reading(dir)
  reading[dir] = (reading[dir] or 0) + 1
end

local function end_reading(dir)
  reading[dir] = reading[dir] > 1 and reading[dir] - 1 or nil
  local finish = when_idle[dir]
  if reading[dir] or not finish then return end
  when_idle[dir] = nil
  finish()
end

-- luv's fs_closedir, but the directory may be in use.
local function closedir(dir, callback)
  if not reading[dir] then return luv.fs_closedir(dir, callback) end
  callback = callback or ignore
  when_idle[dir] = function() luv.fs_closedir(dir, callback) end
  return true
end

--- Where the callback stands among the arguments.
calls.REQUESTS = {
  fs_access = 3, fs_chmod = 3, fs_chown = 4, fs_close = 2, fs_closedir = 2,
  fs_copyfile = 4, fs_fchmod = 3, fs_fchown = 4, fs_fdatasync = 2, fs_fstat = 2,
  fs_fsync = 2, fs_ftruncate = 3, fs_futime = 4, fs_lchown = 4, fs_link = 3,
  fs_lstat = 2, fs_lutime = 4, fs_mkdir = 3, fs_mkdtemp = 2, fs_mkstemp = 2,
  fs_open = 4, fs_opendir = 2, fs_read = 4, fs_readdir = 2, fs_readlink = 2,
  fs_realpath = 2, fs_rename = 3, fs_rmdir = 2, fs_scandir = 2,
  fs_sendfile = 5, fs_stat = 2, fs_statfs = 2, fs_symlink = 4, fs_unlink = 2,
  fs_utime = 4, fs_write = 4,
  getaddrinfo = 4, getnameinfo = 2,
}

-- luv 1.44 keeps every request for random bytes for ever. Without one it takes
-- no time.
local function random(...)
  if is_callable((select(3, ...))) then
    return calls.call(1, luv.random, (...), (select(2, ...)), guard((select(3, ...))))
  end
  if uvjobs.current() then
    core.check_suspend("random", 2)
    if core.interrupted() then uvjobs.yield() end -- raises
  end
  return calls.call(1, luv.random, ...)
end

--- Adds them to the table `uv`.
function calls.add_requests(uv)
  uv.walk, uv.random = walk, random
  for name, at in pairs(calls.REQUESTS) do
    if luv[name] then
      uv[name] = calls.new {
        name = name, fn = luv[name], at = at, early = EARLY[name],
        undo = UNDO[name], releases = RELEASES[name],
        on_start = name == "fs_readdir" and begin_reading,
        on_end = name == "fs_readdir" and end_reading,
      }
    end
  end
  uv.fs_closedir = calls.new {
    name = "fs_closedir", fn = closedir, at = 2, releases = true,
  }
end

-- ---- luv's thread pool --------------------------------------------------------

-- luv has one callback for all calls of a piece of work; so each call gets a
-- piece of work of its own. They cannot be cancelled.
local Work = {}
Work.__index = Work
Work.__name = "uvjobs.uv.Work"

function Work:queue(...)
  core.check_suspend("queue", 2)
  local args = table.pack(...)
  return uvjobs.await(function(resume)
    luv.queue_work(luv.new_work(self.fn, resume), unpack(args, 1, args.n))
  end)
end

--- Adds new_work and queue_work to the table `uv`.
function calls.add_work(uv)
  function uv.new_work(fn, after)
    if after ~= nil then return luv.new_work(fn, guard(after)) end
    luv.new_work(fn, ignore) -- checks it
    return setmetatable({ fn = fn }, Work)
  end

  function uv.queue_work(work, ...)
    if getmetatable(work) == Work then return work:queue(...) end
    return luv.queue_work(work, ...)
  end
end

calls.results = errors.results

return calls
