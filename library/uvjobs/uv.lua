---@meta uvjobs.uv
-- luacheck: ignore 212 241

--- `require "uvjobs.uv"`: all functions of luv, whose types luv has itself (as `uv`), and
--- those here. In a job, a function of luv that takes a callback suspends when it is given
--- none, and returns what the callback would get. docs/luv.md describes it.
---@class uvjobs.uv: uv
local uv = {}

---@class uvjobs.uv.Address
---@field ip? string
---@field port? integer
---@field family? string
---@field path? string of a Unix socket

--- A handle that `uv` has made, for a stream.
---@class uvjobs.uv.Stream: userdata
local Stream = {}

--- Returns nil at the end; nil and "timeout"; or nil, a message and a code.
---@async
---@param timeout? number seconds, >= 0; nil waits for ever
---@return string? data
---@return string? message
---@return string? code
function Stream:read_some(timeout) end

---@return async fun(): string?
function Stream:chunks() end

--- Returns a line without its end; nil at the end of the stream; nil and "timeout"; or nil, a
--- message and a code.
---@async
---@param max? number bytes, or math.huge; default 1 MiB
---@param timeout? number seconds, >= 0; nil waits for ever
---@return string? line
---@return string? message
---@return string? code
function Stream:read_line(max, timeout) end

---@param max? number bytes, or math.huge; default 1 MiB
---@return async fun(): string?
function Stream:lines(max) end

---@async
---@param n integer
---@param timeout? number seconds, >= 0; nil waits for ever
---@return string? data
---@return string? message
---@return string? code
function Stream:read_exactly(n, timeout) end

---@async
---@param data string|string[]
---@return true? done
---@return string? message
---@return string? code
function Stream:write(data) end

---@async
---@return true? done
---@return string? message
---@return string? code
function Stream:shutdown() end

--- Closes the handle, and waits until that is done.
---@async
function Stream:close() end

--- Waits for a client of a stream that listens.
---@async
---@param timeout? number seconds, >= 0; nil waits for ever
---@return uvjobs.uv.Stream? client
---@return string? message
---@return string? code
function Stream:next(timeout) end

---@return async fun(): uvjobs.uv.Stream?
function Stream:connections() end

---@class uvjobs.uv.ServeOptions
---@field limit? number integer >= 1 or math.huge: connections at once; default math.huge
---@field backlog? integer default 128
---@field stop_timeout? number seconds or math.huge; default 5
---@field on_listen? fun(address: uvjobs.uv.Address)
---@field reuseport? boolean default false
---@field exception_handler? uvjobs.ExceptionHandler

--- Connects to a host, or with nil as the port to a Unix socket.
---@async
---@param host string
---@param port? integer
---@param timeout? number seconds, >= 0
---@return uvjobs.uv.Stream? stream
---@return string? message
---@return string? code
function uv.connect(host, port, timeout) end

--- Listens, and calls `fn` in a job of its own for each client, until the job is cancelled.
---@async
---@param host string
---@param port? integer nil when `host` is the path of a Unix socket
---@param options? uvjobs.uv.ServeOptions
---@param fn async fun(client: uvjobs.uv.Stream, peer: uvjobs.uv.Address?)
---@return nil, string message, string code
---@overload fun(host: string, port: integer?, fn: function): nil, string, string
function uv.serve(host, port, options, fn) end

--- The standard input of the process. Does not suspend.
---@return uvjobs.uv.Stream? stream
---@return string? message
---@return string? code
function uv.stdin() end

---@return uvjobs.uv.Stream? stream
---@return string? message
---@return string? code
function uv.stdout() end

---@return uvjobs.uv.Stream? stream
---@return string? message
---@return string? code
function uv.stderr() end

return uv
