-- Compresses every file below a directory into the same tree elsewhere. Each
-- file is a job that runs `gzip -c` as a child process; at most LIMIT of them run
-- at once. Ctrl-C kills the children and removes the files that were not finished.
--
--   script/run examples/02_compress_tree.lua DIR [OUT]
--   uvjobs examples/02_compress_tree.lua /usr/share/doc /tmp/doc-gz
--
-- OUT is `NAME-gz` in the current directory unless given, where NAME is the last
-- part of DIR. It needs luv (Debian: lua-luv) and gzip. The exit status is 1
-- when a file or a directory failed. Symbolic links are not followed.

local luv = require "luv" -- its own functions do not suspend: for clean-up
local uvjobs = require "uvjobs"
local uv = require "uvjobs.uv"

local LIMIT = math.max(#(luv.cpu_info() or {}), 1) -- as many as there are processors

--- Opens a file for writing, as a `<close>` variable. Closing removes the file unless
--- `keep` is set: so no job leaves a half-written file, not even a cancelled one.
local function create(path)
  local fd, message = luv.fs_open(path, "w", tonumber("644", 8))
  if not fd then error(message, 0) end
  return setmetatable({ fd = fd, keep = false }, {
    __close = function(self)
      luv.fs_close(fd)
      if not self.keep then luv.fs_unlink(path) end
    end,
  })
end

--- The job of one file. Its errors go to the exception handler. When the job is
--- cancelled, exec() kills gzip.
local function compress(tree, from, to)
  local output <close> = create(to)
  local result, _, _, message = uvjobs.exec("gzip", { "-c", "--", from }, {
    stdout = output.fd,
    stderr = 2, -- that of this program
  })
  if not result then error(message, 0) end -- gzip could not be started
  if not result.ok then error(result.message, 0) end
  -- Everything that suspends comes first: no other job adds to the sums meanwhile.
  local size_in = assert(uv.fs_stat(from)).size
  local size_out = assert(uv.fs_fstat(output.fd)).size
  output.keep = true
  tree.files = tree.files + 1
  tree.progress:add()
  tree.bytes_in = tree.bytes_in + size_in
  tree.bytes_out = tree.bytes_out + size_out
end

--- Returns what is in a directory, sorted by name: a list of tables with `name` and
--- `kind`; or nil and a message.
local function list(path)
  local scan, message = uv.fs_scandir(path)
  if not scan then return nil, message end
  local entries = {}
  for name, kind in uv.fs_scandir_next, scan do
    if kind == "unknown" then -- on file systems that do not keep the kind here
      local stat = uv.fs_lstat(path .. "/" .. name)
      kind = stat and stat.type
    end
    entries[#entries + 1] = { name = name, kind = kind }
  end
  table.sort(entries, function(a, b) return a.name < b.name end)
  return entries
end

--- Makes a directory unless it exists. Returns true, or nil and a message.
local function make_directory(path)
  local ok, message, code = uv.fs_mkdir(path, tonumber("755", 8))
  if ok or code == "EEXIST" then return true end
  return nil, message
end

--- Spawns a job for each file below `from`. When the pending queue is full, `spawn`
--- suspends, so the walk is never far ahead of the jobs.
local function walk(tree, from, to)
  local made, message = make_directory(to)
  local entries
  if made then entries, message = list(from) end
  if not entries then return tree.fail(from, message) end
  for _, entry in ipairs(entries) do
    local path, target = from .. "/" .. entry.name, to .. "/" .. entry.name
    if entry.kind == "file" then
      tree.scheduler:spawn({ name = path }, compress, tree, path, target .. ".gz")
    elseif entry.kind == "directory" and path ~= tree.out then
      walk(tree, path, target)
    end
  end
end

--- Makes the table that the jobs of one run share.
local function new_tree(out)
  local tree = { out = out, files = 0, failed = 0, bytes_in = 0, bytes_out = 0 }
  function tree.fail(path, err)
    tree.failed = tree.failed + 1
    print(("failed: %s: %s"):format(path, err))
  end
  tree.scheduler = uvjobs.scheduler {
    limit = LIMIT,
    pending_limit = LIMIT,
    exception_handler = function(_, context)
      tree.fail(context.job.name, context.exception)
    end,
  }
  return tree
end

local function usage()
  io.stderr:write("usage: 02_compress_tree.lua DIR [OUT]\n")
  os.exit(2)
end

local function main(dir, out)
  if not dir then usage() end
  dir = assert(uv.fs_realpath(dir))
  out = out or dir:match("[^/]*$") .. "-gz"
  assert(make_directory(out))
  local tree = new_tree(assert(uv.fs_realpath(out)))
  do
    local bar <close> = uvjobs.progress { label = "compress", unit = "files" }
    tree.progress = bar
    local _ <close> = tree.scheduler -- leaving the block waits for the jobs
    walk(tree, dir, tree.out)
  end
  print(("%d files compressed, %d failed: %d bytes to %d"):format(
    tree.files, tree.failed, tree.bytes_in, tree.bytes_out))
  if tree.failed > 0 then os.exit(1) end
end

-- The command `uvjobs` runs this file as a job; the plain interpreter does not.
if uvjobs.current() then main(...) else uvjobs.run(main, ...) end
