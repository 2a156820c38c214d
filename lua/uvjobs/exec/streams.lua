-- What uvjobs.exec writes to its child and reads from it.

local core = require "uvjobs.core"
local handles = require "uvjobs.uv.handles"
local defer = require "uvjobs.defer"

core.own_source()

local streams = {}

-- Returns an iterator over the pieces of the output, until its end or until another
-- job closes the pipe. The progress counts the bytes of standard output.
local function chunks_of(child, i, options)
  local pipe, progress = child.pipes[i], i == 2 and options.progress
  return function()
    local chunk, message, code = pipe:read_some()
    if message and code ~= "ECANCELED" then error(message, 0) end
    if chunk and progress then progress:add(#chunk) end
    return chunk
  end
end

-- What comes after the limit is discarded, so that the child can end in its own way.
local function exceed(child, i, text, ...)
  child:discard(i)
  child:give_up("limit", text:format(...))
end

local NAMES <const> = { stdout = "its standard output", stderr = "its standard error" }

-- Collects the output as result[name], also when the job is cancelled meanwhile.
local function collect(child, i, options, name, result)
  local parts, room = {}, options.max_output
  local function save()
    result[name] = result[name] or table.concat(parts)
  end
  local _ <close> = defer(save)
  for chunk in chunks_of(child, i, options) do
    parts[#parts + 1] = chunk:sub(1, room)
    room = room - #chunk
    if room < 0 then
      save()
      return exceed(child, i, "wrote more than %d bytes to %s", options.max_output, NAMES[name])
    end
  end
end

-- Calls on_line with each line of the output, without its newline; the last one may
-- have none. A line that is longer than the limit stops the child.
local function each_line(child, i, options, name, on_line)
  local parts, size = {}, 0 -- of the line whose newline has not come yet
  local function too_long()
    return exceed(child, i, "wrote a line of more than %d bytes to %s",
      options.max_output, NAMES[name])
  end
  for chunk in chunks_of(child, i, options) do
    local from, to = 1, chunk:find("\n", 1, true)
    while to do
      if size + to - from > options.max_output then return too_long() end
      parts[#parts + 1] = chunk:sub(from, to - 1)
      on_line(table.concat(parts))
      parts, size, from = {}, 0, to + 1
      to = chunk:find("\n", from, true)
    end
    if from <= #chunk then parts[#parts + 1] = chunk:sub(from) end
    size = size + #chunk - from + 1
    if size > options.max_output then return too_long() end
  end
  if size > 0 then on_line(table.concat(parts)) end
end

--- Reads one standard stream to its end.
---@param child uvjobs.exec.Child
---@param i integer the number of its pipe: 2 or 3
---@param options table with defaults
---@param name string "stdout" or "stderr"
---@param result table gets what is collected
function streams.read(child, i, options, name, result)
  local on_line = options["on_" .. name]
  if not child.pipes[i] then return end
  if on_line then return each_line(child, i, options, name, on_line) end
  return collect(child, i, options, name, result)
end

--- Writes the input. A child that ends, or closes its standard input, before it has read
--- everything has not failed.
---@param child uvjobs.exec.Child
---@param options table with defaults
function streams.write(child, options)
  local pipe = child.pipes[1]
  if not pipe then return end
  local ok, message, code = pipe:write(options.input)
  if not ok and code ~= "EPIPE" and code ~= "ECANCELED" then error(message, 0) end
  handles.close(pipe)
end

return streams
