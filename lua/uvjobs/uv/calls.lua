-- luv's functions that take a callback, as calls that suspend the job until the callback
-- is called.

local luv = require "luv"
local core = require "uvjobs.core"
local errors = require "uvjobs.uv.errors"

core.own_source()

local uvjobs = core.public

local calls = {}

local unpack = table.unpack

--- Whether luv takes the value as a callback.
function calls.is_callable(value)
  if type(value) == "function" then return true end
  local meta = debug.getmetatable(value)
  return meta ~= nil and type(value) ~= "string" and meta.__call ~= nil
end

local is_callable = calls.is_callable

-- ---- callbacks of programs -----------------------------------------------------

-- Ends the job with the error of its callback; when it has ended already, reports it.
local function fail_job(job, err, traceback)
  if core.fail(job, err, traceback) then return end
  job.scheduler:call_exception_handler {
    message = "Callback failed",
    job = job,
    exception = err,
    traceback = traceback,
  }
end

-- While a callback runs: the job that has passed it to luv.
local callback_job

--- Returns a callback that runs in the place of `callback`. When `callback` raises, the
--- job fails that has passed it to luv, in a function of its own or in another callback.
--- A callback that no job has passed is returned as it is: when it raises, luv ends the
--- process.
function calls.guard(callback)
  local job = uvjobs.current() or callback_job
  if not job or not is_callable(callback) then return callback end
  local function handler(err)
    fail_job(job, err, debug.traceback(nil, 2))
  end
  return function(...)
    local before = callback_job
    callback_job = job
    xpcall(callback, handler, ...)
    callback_job = before
  end
end

-- luv.walk calls its callback before it returns, so errors are raised in the caller.
local function walk(callback)
  local ok, err = true, nil
  core.luv_walk(luv.walk, is_callable(callback) and function(handle)
    if ok then ok, err = pcall(callback, handle) end
  end or callback)
  if not ok then error(err, 0) end
end

-- ---- calls -------------------------------------------------------------------

-- Raises a message of luv's about misuse. luv names its function with the module in front,
-- and counts `self` as an argument of methods: this corrects both.
---@param level integer whom the error blames, counted as for error()
---@param method? string the name of the method, when it is one
local function raise_misuse(message, level, method)
  message = tostring(message):gsub("'luv%.", "'", 1)
  if method then
    message = message:gsub("^bad argument #(%d+) to '[%w_]+'", function(n)
      return ("bad argument #%d to '%s'"):format(n - 1, method)
    end)
  end
  error(message, level + 1)
end

--- Calls a function of luv, and returns what that returns. For what it raises the error
--- blames the caller at `level`, counted as for error().
function calls.call(level, fn, ...)
  local results = table.pack(pcall(fn, ...))
  if not results[1] then raise_misuse(results[2], level + 1) end
  return unpack(results, 2, results.n)
end

--- One call that waits for a callback, as a to-be-closed variable: when the job leaves the
--- call without its outcome, the operation is abandoned.
---@class uvjobs.uv.Operation
---@field call uvjobs.uv.Call
---@field args table the arguments, packed; luv may need them until the callback comes
---@field partly_done boolean a part was done before luv was called
---@field request? any what luv has returned
---@field results? table what the callback was given, packed
---@field refusal? table what luv has returned instead of a request, packed with pcall's true
---@field misuse? string luv's message
---@field delivered boolean the job has got the outcome
---@field abandoned boolean the job has left without it
local Operation = {}
Operation.__index = Operation

-- Calls luv. The callback is called later in any case, maybe when the job has left.
function Operation:start(resume)
  local call, args = self.call, self.args
  args[call.at] = function(...)
    self.results = table.pack(...)
    if call.on_end then call.on_end(args[1]) end
    if self.abandoned then self:undo() else resume() end
  end
  args.n = math.max(args.n, call.at)
  local started = table.pack(pcall(call.fn, unpack(args, 1, args.n)))
  if not started[1] then
    self.misuse = started[2]
  elseif started[2] then
    self.request = started[2]
    if call.on_start then call.on_start(args[1]) end
    return
  else
    self.refusal = started
  end
  self.delivered = true
  resume()
end

-- Undoes what was done, such as opening a file, when nobody wants it any more.
function Operation:undo()
  local call = self.call
  if call.undo and self.results[1] == nil then
    call.undo(unpack(self.results, 2, self.results.n))
  end
end

function Operation:__close()
  if self.delivered then return end
  self.abandoned = true
  if self.call.abandon then
    if self.request or self.partly_done then self.call.abandon(self.args[1]) end
  elseif self.results then
    self:undo()
  elseif self.request then
    self.call.cancel(self.request)
  end
end

-- Returns what a call returns, from what its callback was given.
local function results_of_callback(err, ...)
  if err ~= nil then return errors.results_of(err) end
  if select("#", ...) == 0 then return true end
  return ...
end

--- Calls luv and suspends until the callback is called.
--- Errors: misuse; `cancelled`, `timeout` and `killed` of the current job.
---@param call uvjobs.uv.Call
---@param args table packed
---@param partly_done? boolean the call is abandoned also when luv was not called yet
---@return any ... what the callback was given after its error; true if that is nothing; or
---  nil, a message and a code
function calls.run(call, args, partly_done)
  local operation <close> = setmetatable({
    call = call, args = args, partly_done = partly_done or false,
    delivered = false, abandoned = false,
  }, Operation)
  uvjobs.await(function(resume) operation:start(resume) end)
  operation.delivered = true
  if operation.misuse then
    raise_misuse(operation.misuse, 2, call.abandon and call.name)
  end
  if operation.refusal then return nil, operation.refusal[3], operation.refusal[4] end
  return results_of_callback(unpack(operation.results, 1, operation.results.n))
end

local function has_callback(call, ...)
  return is_callable((select(call.at, ...))) or
    (call.early_at ~= nil and is_callable((select(call.early_at, ...))))
end

-- Calls luv's function with the program's own callback.
local function call_with_callback(call, ...)
  local args = table.pack(...)
  local at = is_callable(args[call.at]) and call.at or call.early_at
  args[at] = calls.guard(args[at])
  return calls.call(1, call.fn, unpack(args, 1, args.n))
end

local function ignore() end

-- Some functions of luv return a number where others return a request.
local function cancel_request(request)
  if type(request) == "userdata" then luv.cancel(request) end
end

--- A function of luv that takes a callback. When the job leaves the call early, `abandon`
--- is called; a call without it is cancelled, or undone when it has been done already.
---@class uvjobs.uv.Call
---@field name string for messages
---@field fn function luv's
---@field at integer the place of the callback among the arguments
---@field early_at? integer another place where luv takes the callback
---@field abandon? fun(first: any) gets the first argument
---@field cancel? fun(request: any) luv.cancel unless given
---@field undo? fun(...: any) gets the results
---@field releases? boolean it releases its argument, also in a job that is to end: there
---  it does not suspend, and cannot be cancelled
---@field on_start? fun(first: any) is called when luv has accepted the call
---@field on_end? fun(first: any) is called when the callback is called

--- Makes the function of uvjobs.uv for a call. With a callback it does what luv does, and
--- outside of jobs, too. In a job and without a callback it suspends, see calls.run.
---@param call uvjobs.uv.Call
---@return function
function calls.new(call)
  call.cancel = call.cancel or (call.releases and ignore) or cancel_request
  return function(...)
    if has_callback(call, ...) then return call_with_callback(call, ...) end
    if not uvjobs.current() or (call.releases and core.interrupted()) then
      return call.fn(...)
    end
    core.check_suspend(call.name, 2)
    return calls.run(call, table.pack(...))
  end
end

-- ---- requests: files, names, random numbers -----------------------------------

local function close_file(fd)
  luv.fs_close(fd, ignore)
end

-- What undoes a request that was done when its job had left; it gets the results.
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

-- luv takes the callback also in the place of an optional argument before it.
local EARLY_AT <const> = { fs_read = 3, fs_write = 3, fs_copyfile = 3, fs_symlink = 3 }

-- libuv frees a directory that is closed while a thread reads it. So closing waits until
-- no request reads the directory, not even one that its job has abandoned.
local readers = setmetatable({}, { __mode = "k" }) -- how many, by directory; nil for none
local close_later = setmetatable({}, { __mode = "k" }) -- what closes it, by directory

local function begin_reading(dir)
  readers[dir] = (readers[dir] or 0) + 1
end

local function end_reading(dir)
  readers[dir] = readers[dir] > 1 and readers[dir] - 1 or nil
  local close = close_later[dir]
  if readers[dir] or not close then return end
  close_later[dir] = nil
  close()
end

-- Does what luv's fs_closedir does, when nobody reads the directory.
local function closedir(dir, callback)
  if not readers[dir] then return luv.fs_closedir(dir, callback) end
  callback = callback or ignore
  close_later[dir] = function() luv.fs_closedir(dir, callback) end
  return true
end

-- The places of the callbacks among the arguments.
local REQUESTS <const> = {
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

-- luv 1.44 never frees a request for random bytes. Without a request they take hardly any
-- time, so this does not wait.
local function random(...)
  if is_callable((select(3, ...))) then
    local count, flags, callback = ...
    return calls.call(1, luv.random, count, flags, calls.guard(callback))
  end
  if uvjobs.current() then
    core.check_suspend("random", 2)
    if core.interrupted() then uvjobs.yield() end -- raises why the job is to end
  end
  return calls.call(1, luv.random, ...)
end

--- Adds the requests, random() and walk() to the table `uv`.
function calls.add_requests(uv)
  uv.walk, uv.random = walk, random
  for name, at in pairs(REQUESTS) do
    if luv[name] then
      uv[name] = calls.new {
        name = name, fn = luv[name], at = at, early_at = EARLY_AT[name],
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

-- luv has one callback for all calls of a piece of work, so here each call makes a piece of
-- work of its own. What runs in a thread cannot be cancelled.
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
    if after ~= nil then return luv.new_work(fn, calls.guard(after)) end
    luv.new_work(fn, ignore) -- raises unless fn is a good argument
    return setmetatable({ fn = fn }, Work)
  end

  function uv.queue_work(work, ...)
    if getmetatable(work) == Work then return work:queue(...) end
    return luv.queue_work(work, ...)
  end
end

return calls
