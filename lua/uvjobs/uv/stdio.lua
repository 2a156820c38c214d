-- uv.stdin, uv.stdout and uv.stderr: the standard streams as streams of luv, or as files.

local luv = require "luv"
local core = require "uvjobs.core"
local files = require "uvjobs.uv.files"
local handles = require "uvjobs.uv.handles"

core.own_source()

local NAMES <const> = { [0] = "standard input", "standard output", "standard error" }
local NONBLOCK <const> = luv.constants.O_NONBLOCK | (luv.constants.O_NOCTTY or 0)

-- Opens what the descriptor refers to another time. libuv makes its descriptors
-- non-blocking, and every process that has inherited a descriptor shares that with us: its
-- writes would fail, and so would those of `print`. A descriptor of our own does not have
-- this effect. Returns nil where it cannot be had, as for sockets, or without /proc.
local function reopen(fd)
  local access = fd == 0 and luv.constants.O_RDONLY or luv.constants.O_WRONLY
  return (luv.fs_open("/proc/self/fd/" .. fd, access | NONBLOCK, 0))
end

-- Each of these returns a stream for a descriptor; or nil, a message and a code.
local makers = {}

local function open_handle(handle, fd)
  local ok, message, code = handle:open(fd)
  if ok then return handles.managed(handle) end
  luv.close(handle)
  return nil, message, code
end

function makers.pipe(fd)
  local own = reopen(fd)
  local pipe, message, code = open_handle(luv.new_pipe(false), own or fd)
  if not pipe and own then luv.fs_close(own) end
  return pipe, message, code
end

function makers.tcp(fd)
  return open_handle(luv.new_tcp(), fd)
end

-- libuv opens a terminal another time by itself, and puts that in the place of the
-- descriptor that it is given, which children do not inherit then. So it gets one of ours.
function makers.tty(fd)
  local own = reopen(fd)
  local tty, message, code = luv.new_tty(own or fd, fd == 0)
  if own and (not tty or tty:fileno() ~= own) then luv.fs_close(own) end
  if not tty then return nil, message, code end
  return handles.managed(tty)
end

local function new_stream(uv, fd)
  local stat, message, code = luv.fs_fstat(fd)
  if not stat then
    return nil, ("%s: %s is closed"):format(message, NAMES[fd]), code
  end
  local kind = luv.guess_handle(fd)
  if kind == "file" or stat.type == "block" then
    return files.new(uv, fd, stat.type == "file")
  end
  local make = makers[kind]
  if make then return make(fd) end
  return nil, ("ENOTSUP: %s is no terminal, pipe, stream socket or file"):format(NAMES[fd]),
    "ENOTSUP"
end

-- The streams that are in use, by descriptor: what was read and not taken must be there for
-- the next who asks.
local streams = {}

-- Returns the function of uvjobs.uv for a descriptor.
local function getter(uv, fd)
  return function()
    local stream = streams[fd]
    if stream and not stream:is_closing() then return stream end
    if fd ~= 0 then pcall(io.stdout.flush, io.stdout) end -- what was printed comes first
    local message, code
    stream, message, code = new_stream(uv, fd)
    streams[fd] = stream
    return stream, message, code
  end
end

--- Adds stdin, stdout and stderr to the table `uv`. Each returns the stream, always the same
--- until it is closed; or nil, a message and a code. They do not suspend.
return function(uv)
  uv.stdin, uv.stdout, uv.stderr = getter(uv, 0), getter(uv, 1), getter(uv, 2)
end
