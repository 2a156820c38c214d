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

-- Markers in the place of a callback's error: it was never called.
local MISUSED <const>, REFUSED <const> = {}, {}

-- luv's message, without the module's name that it found for itself.
local function misuse(message)
  error((tostring(message):gsub("'luv%.", "'", 1)), 3)
end

local function results(err, ...)
  if err == nil then
    if select("#", ...) == 0 then return true end
    return ...
  elseif err == MISUSED then misuse(...)
  elseif err == REFUSED then return nil, ...
  end
  return errors.results(err)
end

-- Begins the call, and returns what abandons it: `cancel` tries to stop it, and
-- when it has been done all the same, `undo` gets its results.
local function starter(call, args)
  return function(resume)
    local abandoned = false
    args[call.at] = function(...)
      if not abandoned then
        resume(...)
      elseif call.undo and (...) == nil then
        call.undo(select(2, ...))
      end
    end
    local ok, request, message, code =
      pcall(call.fn, unpack(args, 1, math.max(args.n, call.at)))
    if not ok then
      resume(MISUSED, request)
    elseif not request then
      resume(REFUSED, message, code)
    else
      return function()
        abandoned = true
        call.cancel(request, args[1])
      end
    end
  end
end

-- Whether the arguments have a callback.
local function has_callback(call, ...)
  return is_callable((select(call.at, ...))) or
    (call.early ~= nil and is_callable((select(call.early, ...))))
end

local function with_guard(call, ...)
  local args = table.pack(...)
  local at = is_callable(args[call.at]) and call.at or call.early
  args[at] = guard(args[at])
  return call.fn(unpack(args, 1, args.n))
end

local function ignore() end

-- Some functions of luv give a number where others give a request.
local function cancel_request(request)
  if type(request) == "userdata" then luv.cancel(request) end
end

--- The function for users. `call` has luv's function `fn`, its `name`, and `at`,
--- the place of its callback; `early` is another place where luv takes one.
--- One that `releases` something does so also in a job that is to end, at once.
function calls.new(call)
  call.cancel = call.cancel or (call.releases and ignore) or cancel_request
  return function(...)
    if has_callback(call, ...) then return with_guard(call, ...) end
    if not uvjobs.current() or (call.releases and core.interrupted()) then
      return call.fn(...)
    end
    core.check_suspend(call.name, 2)
    return results(uvjobs.await(starter(call, table.pack(...))))
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

-- The callback of fs_read and fs_write may stand in the place of the offset.
local EARLY <const> = { fs_read = 3, fs_write = 3 }

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
  getaddrinfo = 4, getnameinfo = 2, random = 3,
}

--- Adds them to the table `uv`.
function calls.add_requests(uv)
  uv.walk = walk
  for name, at in pairs(calls.REQUESTS) do
    if luv[name] then
      uv[name] = calls.new {
        name = name, fn = luv[name], at = at, early = EARLY[name],
        undo = UNDO[name], releases = RELEASES[name],
      }
    end
  end
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
