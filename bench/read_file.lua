-- Read file: reads a file of N MiB from its beginning to its end, in chunks of 64 KiB or
-- of 1 MiB: by fs_read in a job (`uvjobs`), in a callback (`callback`), or by luv's
-- synchronous fs_read (`luv`). The file is written first, to the directory of temporary
-- files, and removed again. Prints the time for one chunk, and the CPU time for it, in
-- nanoseconds.

local common = dofile((arg[0]:match("^(.*/)") or "./") .. "common.lua")

local MIB <const> = 1024 * 1024
local CHUNKS <const> = { ["64k"] = 64 * 1024, ["1m"] = MIB }

--- The ways to read: each calls `done` with the bytes that it has read.
local WAYS <const> = {
  uvjobs = function(fd, size, done)
    local uv = require "uvjobs.uv"
    require("uvjobs").run(function()
      local at = 0
      repeat
        local chunk = assert(uv.fs_read(fd, size, at))
        at = at + #chunk
      until chunk == ""
      done(at)
    end)
  end,

  callback = function(fd, size, done)
    local uv = require "luv"
    local at = 0
    local function on_read(problem, chunk)
      assert(not problem, problem)
      if chunk == "" then return done(at) end
      at = at + #chunk
      uv.fs_read(fd, size, at, on_read)
    end
    uv.fs_read(fd, size, at, on_read)
    uv.run()
  end,

  luv = function(fd, size, done)
    local uv = require "luv"
    local at = 0
    repeat
      local chunk = assert(uv.fs_read(fd, size, at))
      at = at + #chunk
    until chunk == ""
    done(at)
  end,
}

--- A file of so many MiB, which has no name any more. Returns its descriptor.
local function make_file(uv, mib)
  local fd, path = assert(uv.fs_mkstemp(uv.os_tmpdir() .. "/uvjobs-bench-XXXXXX"))
  uv.fs_unlink(path)
  local block = ("0123456789abcdef"):rep(MIB // 16)
  for i = 0, mib - 1 do
    assert(assert(uv.fs_write(fd, block, i * MIB)) == MIB, "the disk is full")
  end
  return fd
end

local sides = {}
for way, read in pairs(WAYS) do
  for name, size in pairs(CHUNKS) do
    sides[way .. "-" .. name] = function(mib)
      local uv = require "luv"
      local fd = make_file(uv, mib)
      return function()
        local bytes
        local began, cpu = uv.hrtime(), os.clock()
        read(fd, size, function(n) bytes = n end)
        local took_ns, cpu_ns = uv.hrtime() - began, (os.clock() - cpu) * 1e9
        assert(bytes == mib * MIB, "not all was read")
        return ("%.1f"):format(took_ns * size / bytes), ("%.1f"):format(cpu_ns * size / bytes)
      end
    end
  end
end

common.main(1024, sides)
