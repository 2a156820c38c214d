-- Prints what is appended to files, like `tail -F`: also when a file does not exist yet, is
-- truncated, or is replaced by another one, as by logrotate. Each file has a job, which
-- sleeps until something changes in the directory of its file. Ctrl-C ends the program,
-- with the exit status 130.
--
--   script/run examples/09_tail.lua FILE...
--   uvjobs examples/09_tail.lua /var/log/syslog /var/log/auth.log
--
-- It begins with the last LINES lines of each file. With several files, each line begins
-- with the name of its file. It needs luv (Debian: lua-luv).

local uvjobs = require "uvjobs"
local uv = require "uvjobs.uv"

local LINES = 10
local BLOCK = 64 * 1024 -- bytes that are read at once, also to find the last lines
local LOOK = 1 -- seconds until it looks without an event: some file systems have no events

--- Raises an error when nobody reads our standard output any more.
local function print_line(prefix, line)
  assert(io.write(prefix, line, "\n"))
end

local function note(path, what)
  io.stderr:write(("09_tail.lua: %s: %s\n"):format(path, what))
end

-- ---- a file that is open ---------------------------------------------------

--- A file that is followed: its `path`; `fd` when it is open; the `device` and `inode` of the
--- open file; the `position` up to which it was read; and `rest`, the beginning of a line
--- whose end was not read yet.
local Tail = {}
Tail.__index = Tail

local function new_tail(path, prefix)
  return setmetatable({ path = path, prefix = prefix, position = 0, rest = "" }, Tail)
end

--- Closes the file at the end of a `<close>` variable, also in a cancelled job.
function Tail:__close()
  local fd = self.fd
  self.fd = nil
  if fd then uv.fs_close(fd) end
end

--- Opens a regular file. Returns a descriptor; or nil and a message.
local function open_regular(path)
  local stat, message = uv.fs_stat(path)
  if not stat then return nil, message end
  if stat.type ~= "file" then return nil, "not a regular file" end
  return uv.fs_open(path, "r", 0)
end

--- Opens the file if it exists. Returns whether it is open.
function Tail:open()
  local fd, message = open_regular(self.path)
  if not fd then
    if message ~= self.problem then note(self.path, message) end
    self.problem = message
    return false
  end
  self.fd, self.position, self.rest, self.problem = fd, 0, "", nil
  local stat = assert(uv.fs_fstat(fd))
  self.device, self.inode = stat.dev, stat.ino
  return true
end

--- Prints the last line even if it has no end, and closes the file.
function Tail:finish()
  if self.rest ~= "" then print_line(self.prefix, self.rest) end
  self:__close()
end

--- Reads from the position to the end of the file, and prints the whole lines.
function Tail:read()
  while true do
    local text = assert(uv.fs_read(self.fd, BLOCK, self.position))
    if text == "" then return end
    self.position = self.position + #text
    text = self.rest .. text
    local from = 1
    for line, next_line in text:gmatch "([^\n]*)\n()" do
      print_line(self.prefix, line)
      from = next_line
    end
    self.rest = text:sub(from)
  end
end

--- Moves the position to the last LINES lines, or to those of them in the last block.
function Tail:skip()
  local size = assert(uv.fs_fstat(self.fd)).size
  local start = math.max(0, size - BLOCK)
  local text = assert(uv.fs_read(self.fd, BLOCK, start))
  local starts = start == 0 and { 1 } or {}
  for at in text:gmatch "\n()" do
    if at <= #text then starts[#starts + 1] = at end
  end
  self.position = start + (starts[math.max(1, #starts - LINES + 1)] or 1) - 1
end

-- ---- following it ----------------------------------------------------------

--- Prints what is new, whether the file was appended to, truncated or replaced.
function Tail:catch_up()
  if self.fd then
    local now = uv.fs_stat(self.path)
    local same = now and now.dev == self.device and now.ino == self.inode
    if same and now.size < self.position then
      note(self.path, "file truncated")
      self.position, self.rest = 0, ""
    end
    self:read()
    if same then return end
    self:finish()
    if now then note(self.path, "file replaced") end
  end
  if self:open() then self:read() end
end

--- Watches the directory, because a watch on the file would follow it when it is renamed.
--- Returns a function that suspends until the file may have changed.
local function watch(handle, path)
  local directory, name = path:match "^(.*/)([^/]*)$"
  local ok, message = handle:start(directory or ".")
  if not ok then
    note(path, "looking at it every second: " .. message)
    return function() uvjobs.sleep(LOOK) end
  end
  return function()
    local due = uvjobs.now() + LOOK
    repeat
      local changed, problem = handle:next(math.max(0, due - uvjobs.now()))
      if not changed and problem ~= "timeout" then uvjobs.sleep(LOOK) end
    until not changed or changed == (name or path)
  end
end

--- The job of one file. It ends when it is cancelled, or when the file cannot be read.
local function follow(path, prefix)
  local handle <close> = uv.new_fs_event()
  local wait = watch(handle, path)
  local tail <close> = new_tail(path, prefix)
  if tail:open() then tail:skip() end
  while true do
    tail:catch_up()
    wait()
  end
end

local function main(...)
  local paths = { ... }
  if #paths == 0 then
    io.stderr:write("usage: 09_tail.lua FILE...\n")
    os.exit(2)
  end
  io.stdout:setvbuf "line"
  uvjobs.map(paths, function(path)
    follow(path, #paths > 1 and path .. ": " or "")
  end, { limit = #paths })
end

-- The command `uvjobs` runs this file as a job; the plain interpreter does not.
if uvjobs.current() then main(...) else uvjobs.run(main, ...) end
