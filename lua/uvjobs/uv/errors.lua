-- Messages and codes of luv's errors. Its synchronous functions return both, such as
-- "ENOENT: no such file or directory: x" and "ENOENT"; its callbacks are given one of the
-- two. A call of uvjobs.uv that waits for a callback returns both.

-- The texts of libuv 1.44. libuv finds a text by the error's number only, and leaks
-- memory for numbers that it does not know; luv does not say the number.
local TEXTS <const> = {
  E2BIG = "argument list too long",
  EACCES = "permission denied",
  EADDRINUSE = "address already in use",
  EADDRNOTAVAIL = "address not available",
  EAFNOSUPPORT = "address family not supported",
  EAGAIN = "resource temporarily unavailable",
  EAI_ADDRFAMILY = "address family not supported",
  EAI_AGAIN = "temporary failure",
  EAI_BADFLAGS = "bad ai_flags value",
  EAI_BADHINTS = "invalid value for hints",
  EAI_CANCELED = "request canceled",
  EAI_FAIL = "permanent failure",
  EAI_FAMILY = "ai_family not supported",
  EAI_MEMORY = "out of memory",
  EAI_NODATA = "no address",
  EAI_NONAME = "unknown node or service",
  EAI_OVERFLOW = "argument buffer overflow",
  EAI_PROTOCOL = "resolved protocol is unknown",
  EAI_SERVICE = "service not available for socket type",
  EAI_SOCKTYPE = "socket type not supported",
  EALREADY = "connection already in progress",
  EBADF = "bad file descriptor",
  EBUSY = "resource busy or locked",
  ECANCELED = "operation canceled",
  ECHARSET = "invalid Unicode character",
  ECONNABORTED = "software caused connection abort",
  ECONNREFUSED = "connection refused",
  ECONNRESET = "connection reset by peer",
  EDESTADDRREQ = "destination address required",
  EEXIST = "file already exists",
  EFAULT = "bad address in system call argument",
  EFBIG = "file too large",
  EFTYPE = "inappropriate file type or format",
  EHOSTDOWN = "host is down",
  EHOSTUNREACH = "host is unreachable",
  EILSEQ = "illegal byte sequence",
  EINTR = "interrupted system call",
  EINVAL = "invalid argument",
  EIO = "i/o error",
  EISCONN = "socket is already connected",
  EISDIR = "illegal operation on a directory",
  ELOOP = "too many symbolic links encountered",
  EMFILE = "too many open files",
  EMLINK = "too many links",
  EMSGSIZE = "message too long",
  ENAMETOOLONG = "name too long",
  ENETDOWN = "network is down",
  ENETUNREACH = "network is unreachable",
  ENFILE = "file table overflow",
  ENOBUFS = "no buffer space available",
  ENODEV = "no such device",
  ENOENT = "no such file or directory",
  ENOMEM = "not enough memory",
  ENONET = "machine is not on the network",
  ENOPROTOOPT = "protocol not available",
  ENOSPC = "no space left on device",
  ENOSYS = "function not implemented",
  ENOTCONN = "socket is not connected",
  ENOTDIR = "not a directory",
  ENOTEMPTY = "directory not empty",
  ENOTSOCK = "socket operation on non-socket",
  ENOTSUP = "operation not supported on socket",
  ENOTTY = "inappropriate ioctl for device",
  ENXIO = "no such device or address",
  EOF = "end of file",
  EOVERFLOW = "value too large for defined data type",
  EPERM = "operation not permitted",
  EPIPE = "broken pipe",
  EPROTO = "protocol error",
  EPROTONOSUPPORT = "protocol not supported",
  EPROTOTYPE = "protocol wrong type for socket",
  ERANGE = "result too large",
  EREMOTEIO = "remote I/O error",
  EROFS = "read-only file system",
  ESHUTDOWN = "cannot send after transport endpoint shutdown",
  ESOCKTNOSUPPORT = "socket type not supported",
  ESPIPE = "invalid seek",
  ESRCH = "no such process",
  ETIMEDOUT = "connection timed out",
  ETXTBSY = "text file is busy",
  EXDEV = "cross-device link not permitted",
  UNKNOWN = "unknown error",
}

local errors = {}

--- Returns what a call returns for an error that its callback was given.
---@param err string a code, or a message that begins with one
---@return nil, string message, string code
function errors.results_of(err)
  local code = err:match "^[^:]+"
  if code ~= err then return nil, err, code end
  local text = TEXTS[code]
  return nil, text and code .. ": " .. text or code, code
end

return errors
