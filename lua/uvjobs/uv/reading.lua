-- What can be read from a stream: pieces, lines, and so many bytes. What a call has read and
-- not taken is kept for the next call, also when the job leaves the call early.

local core = require "uvjobs.core"
local arguments = require "uvjobs.arguments"
local buffer = require "uvjobs.uv.buffer"

core.own_source()

local uvjobs = core.public

local MAX_LINE <const> = 1024 * 1024 -- bytes, unless the caller says otherwise

-- A job yields after so many calls that did not have to wait, or others would starve.
local CALLS_IN_A_ROW <const> = 256

local expect = arguments.expect
local is_max, is_count = expect.count(0), arguments.kind(function(value)
  return math.type(value) == "integer" and value >= 0
end, "integer >= 0")

-- ---- what the calls take -----------------------------------------------------------

-- Each of these returns what it takes from the bytes that are kept; nil when more have to
-- come; or nil, a message and a code. `ended` is true when no more will come.

local function take_piece(kept)
  if kept.size > 0 then return kept:take_piece() end
end

local function take_line(kept, max, ended)
  local line, too_long = kept:take_line(max)
  if too_long then
    return nil, ("EMSGSIZE: the line is longer than %.0f bytes"):format(max), "EMSGSIZE"
  elseif not line and ended and kept.size > 0 then
    return kept:take(kept.size)
  end
  return line
end

local function take_exactly(kept, n, ended)
  if kept.size >= n then return kept:take(n) end
  if ended and kept.size > 0 then
    return nil, ("EOF: the stream has ended after %d of %d bytes"):format(kept.size, n), "EOF"
  end
end

-- ---- waiting for it ------------------------------------------------------------------

--- What is known of a stream, as far as reading is concerned.
---@class uvjobs.uv.Reading
---@field kept? uvjobs.uv.Buffer nil until a line or a number of bytes is asked for
---@field turns? uvjobs.Semaphore of one permit: who has it may add to `kept`
---@field calls? integer that did not have to wait since the last that did

-- Yields when it is time for other jobs, and in a job that is to end, where yielding raises.
local function yield_sometimes(state)
  local n = (state.calls or 0) + 1
  state.calls = n
  if n < CALLS_IN_A_ROW and not core.interrupted() then return end
  state.calls = 0
  uvjobs.yield()
end

local function start_keeping(state)
  state.kept, state.turns = buffer.new(), uvjobs.semaphore(1)
end

-- Returns only the first of these values unless there is an error.
local function outcome(result, message, code)
  if message then return nil, message, code end
  return result
end

---@alias uvjobs.uv.Pull fun(self: any, state: any, timeout?: number): string?, string?, string?

-- Calls take(kept, n, ended) until it returns something. Several jobs do this one after the
-- other: otherwise the pieces of one line could be given to different jobs.
local function read_until(pull, self, state, timeout, take, n)
  yield_sometimes(state)
  if not state.kept then start_keeping(state) end
  local kept = state.kept
  if state.turns.count > 0 then
    local result, message, code = take(kept, n, false)
    if result or message then return outcome(result, message, code) end
  end
  local due = timeout and uvjobs.now() + timeout
  local turn <close> = state.turns:permit(timeout)
  if not turn then return nil, "timeout" end
  local ended = false
  while true do
    local result, message, code = take(kept, n, ended)
    if result or message or ended then return outcome(result, message, code) end
    local piece
    piece, message, code = pull(self, state, due and math.max(0, due - uvjobs.now()))
    if message == "timeout" then return nil, "timeout" end
    if message then return nil, message, code end
    if piece then kept:add(piece) else ended = true end
  end
end

-- ---- the methods ---------------------------------------------------------------------

local reading = {}

local function check(kind, n, name, value)
  local expected = kind(value)
  if expected then arguments.fail(3, n, name, arguments.unexpected_value(expected, value)) end
end

--- Returns the methods of a kind of stream.
---@param pull uvjobs.uv.Pull waits for a piece, and takes it; nothing at the end
---@param check_wait fun(level: integer, self: any, name: string, timeout: any, n?: integer): any
---  checks `self`, the timeout, which is argument n, and that the job can suspend; returns
---  the stream's state
---@param state_of fun(level: integer, self: any, name: string): any checks `self` only
---@return table<string, function>
function reading.methods(pull, check_wait, state_of)
  local methods = {}

  local function read_piece(self, state, timeout)
    if not state.kept then return pull(self, state, timeout) end
    return read_until(pull, self, state, timeout, take_piece)
  end

  -- Returns an iterator that calls next_value() until it returns nil.
  local function iterator(name, next_value)
    return function()
      if core.enter(name) == nil then core.check_suspend(name, 2) end
      local value, message = next_value()
      if message then error(message, 2) end
      return value
    end
  end

  --- Suspends until some bytes have come, and returns them; nil at the end of the stream.
  --- Errors: misuse; `cancelled`, `timeout` and `killed` of the current job.
  ---@param timeout? number seconds, >= 0; nil waits for ever
  ---@return string|nil data
  ---@return string|nil reason "timeout", or a message
  ---@return string|nil code of the error
  function methods.read_some(self, timeout)
    return read_piece(self, check_wait(2, self, "read_some", timeout), timeout)
  end

  --- Iterates over the pieces of the stream until its end; each step may suspend.
  --- Errors: misuse; an error of the stream, as its message; `cancelled`, `timeout` and
  --- `killed` of the current job.
  ---@return fun(): string?
  function methods.chunks(self)
    local state = state_of(2, self, "chunks")
    return iterator("chunks", function() return read_piece(self, state) end)
  end

  --- Suspends until a line has come, and returns it without its end, which is "\n" or
  --- "\r\n"; nil at the end of the stream. What comes after the last newline is a line, too.
  --- The code is "EMSGSIZE" when the line is longer than `max`: then nothing is taken.
  --- Errors: misuse; `cancelled`, `timeout` and `killed` of the current job.
  ---@param max? number bytes, without the line's end; 1 MiB by default
  ---@param timeout? number seconds, >= 0, for the whole line; nil waits for ever
  ---@return string|nil line
  ---@return string|nil reason "timeout", or a message
  ---@return string|nil code of the error
  function methods.read_line(self, max, timeout)
    local state = check_wait(2, self, "read_line", timeout, 2)
    if max ~= nil then check(is_max, 1, "read_line", max) end
    return read_until(pull, self, state, timeout, take_line, max or MAX_LINE)
  end

  --- Iterates over the lines of the stream until its end; each step may suspend.
  --- Errors: misuse; what read_line returns as an error, as its message; `cancelled`,
  --- `timeout` and `killed` of the current job.
  ---@param max? number bytes of a line, without its end; 1 MiB by default
  ---@return fun(): string?
  function methods.lines(self, max)
    local state = state_of(2, self, "lines")
    if max ~= nil then check(is_max, 1, "lines", max) end
    return iterator("lines", function()
      return read_until(pull, self, state, nil, take_line, max or MAX_LINE)
    end)
  end

  --- Suspends until `n` bytes have come, and returns them; nil at the end of the stream. The
  --- code is "EOF" when the stream ends after fewer: then nothing is taken.
  --- Errors: misuse; `cancelled`, `timeout` and `killed` of the current job.
  ---@param n integer >= 0
  ---@param timeout? number seconds, >= 0, for all of them; nil waits for ever
  ---@return string|nil data
  ---@return string|nil reason "timeout", or a message
  ---@return string|nil code of the error
  function methods.read_exactly(self, n, timeout)
    local state = check_wait(2, self, "read_exactly", timeout, 2)
    check(is_count, 1, "read_exactly", n)
    return read_until(pull, self, state, timeout, take_exactly, n)
  end

  return methods
end

return reading
