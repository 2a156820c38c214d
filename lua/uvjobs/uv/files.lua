-- Open files as streams: luv's streams refuse files, so these read and write by requests to
-- luv's threads. They have the methods of streams.

local luv = require "luv"
local core = require "uvjobs.core"
local arguments = require "uvjobs.arguments"
local defer = require "uvjobs.defer"
local errors = require "uvjobs.uv.errors"
local handles = require "uvjobs.uv.handles"
local reading = require "uvjobs.uv.reading"

core.own_source()

local uvjobs = core.public

local PIECE <const> = 65536 -- bytes of a read
local HERE <const> = -1 -- the offset by which libuv means the file's own position

-- Bytes that are written to a regular file at once. The system only copies them to memory,
-- which takes a tenth of the time of a request to a thread. `print` does the same.
local SMALL <const> = 65536

-- A job yields after so many writes that did not have to wait, or others would starve.
local WRITES_IN_A_ROW <const> = 64

--- It is its own state; see also uvjobs.uv.State and uvjobs.uv.Reading.
---@class uvjobs.uv.File
---@field fd integer is not closed with it
---@field queue uvjobs.Queue what was read and nobody has taken
---@field reading boolean a request to read is under way
---@field writer uvjobs.Semaphore of one permit, for who writes
---@field writes integer since the job that writes has yielded
---@field is_regular boolean it is on a disk
---@field closed boolean
---@field err? string the code of the error for which the queue was closed
local File = {}
File.__index = File
File.__name = "uvjobs.uv.File"

local function check_self(level, self, name)
  if debug.getmetatable(self) == File then return self end
  return arguments.fail_self(level + 1, name, "uvjobs.uv.File", self)
end

-- ---- reading -------------------------------------------------------------------------

-- What a request has read goes into the queue, also when the job that has made the request
-- does not wait for it any more.
local function start_reading(self)
  local request, message, code = luv.fs_read(self.fd, PIECE, HERE, function(err, data)
    self.reading = false
    if err or data == "" then return handles.finish(self, err) end
    self.queue:try_put(data)
  end)
  if not request then return nil, message, code end
  self.reading = true
  return true
end

local function read(self, _, timeout)
  if not self.reading and #self.queue == 0 and not self.queue.closed then
    local ok, message, code = start_reading(self)
    if not ok then return nil, message, code end
  end
  local data, reason = self.queue:get(timeout)
  if data then return data end
  return handles.results_without_value(self, reason)
end

local methods = reading.methods(read, function(level, self, name, timeout, n)
  check_self(level + 1, self, name)
  core.check_timeout(timeout, n or 1, name, level + 1)
  core.check_suspend(name, level + 1)
  return self
end, check_self)

for name, method in pairs(methods) do File[name] = method end

-- ---- writing -------------------------------------------------------------------------

local function text_of(data)
  if type(data) == "string" then return data end
  if type(data) ~= "table" then
    arguments.fail(3, 1, "write", arguments.unexpected("string or list of strings", data))
  end
  for i = 1, #data do
    if type(data[i]) ~= "string" then
      arguments.fail(3, 1, "write", arguments.unexpected_element("string", i, data[i]))
    end
  end
  return table.concat(data)
end

-- Writes some of the text. Returns how many bytes; or nil, a message and a code.
local function write_some(self, text)
  if self.is_regular and #text <= SMALL then return luv.fs_write(self.fd, text, HERE) end
  return self.uv.fs_write(self.fd, text, HERE)
end

-- Writes all of the text, in as many parts as the system takes it.
local function write_all(self, text)
  local from = 1
  while from <= #text do
    local n, message, code = write_some(self, from == 1 and text or text:sub(from))
    if not n then return nil, message, code end
    from = from + n
  end
  return true
end

-- Called before each write: yields when it is time for other jobs, and in a job that is to
-- end, where yielding raises.
local function yield_sometimes(self)
  self.writes = self.writes + 1
  if self.writes < WRITES_IN_A_ROW and not core.interrupted() then return end
  self.writes = 0
  uvjobs.yield()
end

--- Suspends until the system has taken all the data. When the job leaves the call early, the
--- stream is closed, because nobody can know how much was written.
--- Errors: misuse; `cancelled`, `timeout` and `killed` of the current job.
---@param data string|string[]
---@return true|nil written
---@return string|nil message
---@return string|nil code
function File:write(data)
  check_self(2, self, "write")
  core.check_suspend("write", 2)
  local text = text_of(data)
  yield_sometimes(self)
  local _ <close> = self.writer:permit()
  if self.closed then return errors.results_of "EBADF" end
  local done = false
  local _ <close> = defer(function()
    if not done then self:close() end
  end)
  local ok, message, code = write_all(self, text)
  done = true
  return ok, message, code
end

-- ---- the rest ------------------------------------------------------------------------

--- Does nothing: what write() has written the system has.
---@return true
function File:shutdown()
  check_self(2, self, "shutdown")
  return true
end

--- Ends the use of the file, whose descriptor stays open. Who reads gets an error.
function File:close()
  check_self(2, self, "close")
  if self.closed then return end
  self.closed = true
  handles.finish(self, "ECANCELED")
end

---@return boolean closed
function File:is_closing()
  return check_self(2, self, "is_closing").closed
end

File.__close = File.close

-- Reading keeps what it needs in the object, when it needs it.
arguments.refuse_others("uvjobs.uv.File", File, {
  "err", "kept", "turns", "calls", "wake", "on_read",
})

local files = {}

--- Returns a stream that reads or writes a file, at its own position.
---@param uv table
---@param fd integer
---@param is_regular boolean it is a file on a disk, and no device
---@return uvjobs.uv.File
function files.new(uv, fd, is_regular)
  return setmetatable({
    uv = uv, fd = fd, queue = uvjobs.queue(), reading = false,
    writer = uvjobs.semaphore(1), writes = 0, is_regular = is_regular, closed = false,
  }, File)
end

return files
