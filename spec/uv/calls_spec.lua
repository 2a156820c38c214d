-- Requests of luv as calls: files, names, random numbers. They suspend, and return
-- what luv's own functions return when they are called without a callback.
local luv = require "luv"
local uvjobs = require "uvjobs"
local uv = require "uvjobs.uv"
local world = require "spec.uv.helper"

local NO_FD <const> = 1000000
local OCTAL_600 <const>, OCTAL_755 <const> = tonumber("600", 8), tonumber("755", 8)

-- ---- the same as luv's synchronous form -------------------------------------------

-- A directory with a file, a link and an empty directory; `fd` is the open file, `out`
-- another one. The names are the same each time.
local ROOT <const> = world.file()
os.remove(ROOT)

local function make()
  assert(luv.fs_mkdir(ROOT, OCTAL_755))
  local place = { root = ROOT, file = ROOT .. "/file", new = ROOT .. "/new" }
  place.fd = assert(luv.fs_open(place.file, "w+", OCTAL_600))
  assert(luv.fs_write(place.fd, "some text"))
  place.out = assert(luv.fs_open(ROOT .. "/out", "w", OCTAL_600))
  assert(luv.fs_symlink("file", ROOT .. "/link"))
  assert(luv.fs_mkdir(ROOT .. "/empty", OCTAL_755))
  return place
end

local function unmake(place)
  luv.fs_close(place.fd)
  luv.fs_close(place.out)
  os.execute("rm -rf " .. ROOT)
end

-- The fields of a stat that are the same for two files of the same kind.
local function essence(stat, ...)
  if type(stat) ~= "table" then return stat, ... end
  return { type = stat.type, size = stat.size, mode = stat.mode, nlink = stat.nlink }, ...
end

-- The entries of a directory, in order.
local function entries(next_entry, ...)
  local names = {}
  for name, kind in next_entry, ... do names[#names + 1] = name .. " " .. kind end
  table.sort(names)
  return table.concat(names, ", ")
end

local function opened(lib, fd, ...)
  if not fd then return fd, ... end
  local size = lib.fs_fstat(fd).size
  return "opened", size, lib.fs_close(fd)
end

local cases = {
  fs_access = function(lib, at)
    return lib.fs_access(at.file, "r"), lib.fs_access(at.new, "r")
  end,
  fs_chmod = function(lib, at)
    return lib.fs_chmod(at.file, OCTAL_755), essence(lib.fs_stat(at.file)).mode,
      lib.fs_chmod(at.new, OCTAL_755)
  end,
  fs_chown = function(lib, at)
    return lib.fs_chown(at.file, luv.getuid(), luv.getgid()), lib.fs_chown(at.new, 1, 1)
  end,
  fs_close = function(lib, at)
    return lib.fs_close(assert(luv.fs_open(at.file, "r", 0))), lib.fs_close(NO_FD)
  end,
  fs_closedir = function(lib, at)
    return lib.fs_closedir(assert(luv.fs_opendir(at.root)))
  end,
  fs_copyfile = function(lib, at)
    return lib.fs_copyfile(at.file, at.new), world.text(at.new),
      lib.fs_copyfile(at.file, at.new, { excl = true })
  end,
  fs_fchmod = function(lib, at)
    return lib.fs_fchmod(at.fd, OCTAL_755), lib.fs_fchmod(NO_FD, OCTAL_755)
  end,
  fs_fchown = function(lib, at)
    return lib.fs_fchown(at.fd, luv.getuid(), luv.getgid()), lib.fs_fchown(NO_FD, 1, 1)
  end,
  fs_fdatasync = function(lib, at) return lib.fs_fdatasync(at.fd), lib.fs_fdatasync(NO_FD) end,
  fs_fstat = function(lib, at)
    return essence(lib.fs_fstat(at.fd)), essence(lib.fs_fstat(NO_FD))
  end,
  fs_fsync = function(lib, at) return lib.fs_fsync(at.fd), lib.fs_fsync(NO_FD) end,
  fs_ftruncate = function(lib, at)
    return lib.fs_ftruncate(at.fd, 4), world.text(at.file), lib.fs_ftruncate(NO_FD, 4)
  end,
  fs_futime = function(lib, at)
    return lib.fs_futime(at.fd, 100, 200), luv.fs_fstat(at.fd).mtime.sec,
      lib.fs_futime(NO_FD, 1, 2)
  end,
  fs_lchown = function(lib, at)
    return lib.fs_lchown(at.root .. "/link", luv.getuid(), luv.getgid()),
      lib.fs_lchown(at.new, 1, 1)
  end,
  fs_link = function(lib, at)
    return lib.fs_link(at.file, at.new), world.text(at.new), lib.fs_link(at.file, at.new)
  end,
  fs_lstat = function(lib, at)
    return essence(lib.fs_lstat(at.root .. "/link")), essence(lib.fs_lstat(at.new))
  end,
  fs_lutime = function(lib, at)
    return lib.fs_lutime(at.root .. "/link", 100, 200),
      luv.fs_lstat(at.root .. "/link").mtime.sec, lib.fs_lutime(at.new, 1, 2)
  end,
  fs_mkdir = function(lib, at)
    return lib.fs_mkdir(at.new, OCTAL_755), luv.fs_stat(at.new).type,
      lib.fs_mkdir(at.new, OCTAL_755)
  end,
  fs_mkdtemp = function(lib, at)
    local path = lib.fs_mkdtemp(at.root .. "/XXXXXX")
    return luv.fs_stat(path).type, path:match "^(.*)/", lib.fs_mkdtemp(at.file)
  end,
  fs_mkstemp = function(lib, at)
    local fd, path = lib.fs_mkstemp(at.root .. "/XXXXXX")
    luv.fs_close(fd)
    return luv.fs_stat(path).type, path:match "^(.*)/", lib.fs_mkstemp(at.new .. "/XXXXXX")
  end,
  fs_open = function(lib, at)
    return opened(lib, lib.fs_open(at.file, "r", 0)), lib.fs_open(at.new, "r", 0)
  end,
  fs_opendir = function(lib, at)
    local dir = lib.fs_opendir(at.root, nil, 10)
    local count = #luv.fs_readdir(dir)
    luv.fs_closedir(dir)
    return count, lib.fs_opendir(at.new)
  end,
  fs_read = function(lib, at)
    return lib.fs_read(at.fd, 4, 0), lib.fs_read(at.fd, 100, 5), lib.fs_read(at.fd, 1, 50),
      lib.fs_read(NO_FD, 4, 0)
  end,
  fs_readdir = function(lib, at)
    local dir = luv.fs_opendir(at.root, nil, 10)
    local found, first = lib.fs_readdir(dir), {}
    for i, entry in ipairs(found) do first[i] = entry.name .. " " .. entry.type end
    table.sort(first)
    local last = table.pack(lib.fs_readdir(dir))
    luv.fs_closedir(dir)
    return first, last[1] == nil or last[1] == true
  end,
  fs_readlink = function(lib, at)
    return lib.fs_readlink(at.root .. "/link"), lib.fs_readlink(at.file)
  end,
  fs_realpath = function(lib, at)
    return lib.fs_realpath(at.root .. "/link"), lib.fs_realpath(at.new)
  end,
  fs_rename = function(lib, at)
    return lib.fs_rename(at.file, at.new), world.text(at.new), lib.fs_rename(at.file, at.new)
  end,
  fs_rmdir = function(lib, at)
    return lib.fs_rmdir(at.root .. "/empty"), lib.fs_rmdir(at.root)
  end,
  fs_scandir = function(lib, at)
    return entries(luv.fs_scandir_next, (lib.fs_scandir(at.root))), lib.fs_scandir(at.new)
  end,
  fs_sendfile = function(lib, at)
    return lib.fs_sendfile(at.out, at.fd, 5, 4), world.text(at.root .. "/out"),
      lib.fs_sendfile(NO_FD, at.fd, 0, 4)
  end,
  fs_stat = function(lib, at)
    return essence(lib.fs_stat(at.root .. "/link")), essence(lib.fs_stat(at.new))
  end,
  fs_statfs = function(lib, at)
    return lib.fs_statfs(at.file).type, lib.fs_statfs(at.new)
  end,
  fs_symlink = function(lib, at)
    return lib.fs_symlink("out", at.new), luv.fs_readlink(at.new),
      lib.fs_symlink("out", at.new)
  end,
  fs_unlink = function(lib, at)
    return lib.fs_unlink(at.file), world.text(at.file), lib.fs_unlink(at.file)
  end,
  fs_utime = function(lib, at)
    return lib.fs_utime(at.file, 100, 200), luv.fs_stat(at.file).mtime.sec,
      lib.fs_utime(at.new, 1, 2)
  end,
  fs_write = function(lib, at)
    return lib.fs_write(at.fd, "SOME", 0), lib.fs_write(at.fd, { " ", "lines" }, 4),
      world.text(at.file), lib.fs_write(NO_FD, "x", 0)
  end,
  getaddrinfo = function(lib)
    return lib.getaddrinfo("127.0.0.1", "80", { socktype = "stream", numerichost = true }),
      lib.getaddrinfo("no name", nil, { numerichost = true })
  end,
  getnameinfo = function(lib)
    return lib.getnameinfo { ip = "127.0.0.1", port = 80 }
  end,
  random = function(lib)
    return #lib.random(8), lib.random(0), lib.random(math.maxinteger)
  end,
}

-- The results of a function with each library in turn.
local function both_forms(case)
  local at <close> = setmetatable(make(), { __close = unmake })
  local expected = table.pack(pcall(case, luv, at))
  unmake(at)
  for name, value in pairs(make()) do at[name] = value end
  local suspended, got
  uvjobs.run(function()
    suspended = world.suspends(function() got = table.pack(pcall(case, uv, at)) end)
  end)
  return expected, got, suspended
end

describe("in a job, what luv calls with a callback returns", function()
  after_each(world.check_clean)

  for name, case in pairs(cases) do
    it("the same as luv's synchronous form: " .. name, function()
      local expected, got, suspended = both_forms(case)
      assert.is_true(expected[1], expected[2])
      assert.same(expected, got)
      assert.equal(name ~= "random", suspended) -- see docs/luv.md
      world.forget_requests(name)
    end)
  end

  it("for every one of the requests", function()
    local missing = {}
    for name in pairs(luv) do
      local request = name:find "^fs_" and not name:find "^fs_event" and not name:find "^fs_poll"
      if request and name ~= "fs_scandir_next" and not cases[name] then
        missing[#missing + 1] = name
      end
    end
    assert.same({}, missing)
  end)
end)

describe("a request of luv", function()
  after_each(world.check_clean)

  it("outside jobs is luv's own: it blocks, or starts with a callback", function()
    assert.equal("directory", uv.fs_stat("/").type)
    local code = select(3, uv.fs_stat("/does/not/exist"))
    assert.equal("ENOENT", code)
    local seen
    assert.is_userdata(uv.fs_stat("/", function(err, stat) seen = err or stat.type end))
    assert.is_nil(seen)
    world.drain()
    assert.equal("directory", seen)
  end)

  it("with a callback returns at once, in a job too", function()
    uvjobs.run(function()
      local seen
      local suspended, request = world.suspends(uv.fs_stat, "/", function(...)
        seen = table.pack(...)
      end)
      -- The block of suspends() has waited, the call has not.
      assert.is_false(suspended)
      assert.is_userdata(request)
      world.wait_until(function() return seen end)
      assert.is_nil(seen[1])
      assert.equal("directory", seen[2].type)
    end)
  end)

  it("takes its callback in each place in which luv does", function()
    local path = world.file("text")
    uvjobs.run(function()
      local fd = assert(uv.fs_open(path, "r+", 0))
      local function call(name, ...)
        local seen
        local args = table.pack(...)
        args[args.n + 1] = function(...) seen = table.pack(...) end
        assert.is_userdata(uv[name](table.unpack(args, 1, args.n + 1)))
        world.wait_until(function() return seen end)
        return seen[1], seen[2]
      end
      assert.same({ nil, "text" }, { call("fs_read", fd, 10) })
      assert.same({ nil, "xt" }, { call("fs_read", fd, 10, 2) })
      assert.same({ nil, 1 }, { call("fs_write", fd, "x") })
      assert.same({ nil, 1 }, { call("fs_write", fd, "y", 1) })
      assert.matches("^ENOENT", (call("fs_opendir", "/does/not/exist")))
      uv.fs_close(fd)
    end)
    os.remove(path)
  end)

  it("gives several jobs their own results, whatever order they come in", function()
    local paths = {}
    for i = 1, 20 do paths[i] = world.file(("x"):rep(i)) end
    uvjobs.run(function()
      local sizes = uvjobs.map(paths, function(path) return uv.fs_stat(path).size end)
      for i = 1, #paths do assert.equal(i, sizes[i]) end
    end)
    for _, path in ipairs(paths) do os.remove(path) end
  end)

  it("that is misused raises at the caller, and names the argument", function()
    uvjobs.run(function()
      local line = debug.getinfo(1, "l").currentline
      local misuses = {
        { "fs_stat", "^bad argument #1 to 'fs_stat' %(string expected, got table%)$",
          function() local _ = uv.fs_stat({}) end },
        { "fs_open", "^bad argument #1 to 'fs_open' %(string expected, got n",
          function() local _ = uv.fs_open() end },
        { "fs_read", "^bad argument #2 to 'fs_read' %(number expected, got nil%)$",
          function() local _ = uv.fs_read(0) end },
        { "random", "^bad argument #1 to 'random' %(number expected, got string%)$",
          function() local _ = uv.random("many") end },
        { "getnameinfo", "^bad argument #1 to 'getnameinfo' %(table expected",
          function() local _ = uv.getnameinfo("x") end },
      }
      for i, misuse in ipairs(misuses) do
        local ok, err = pcall(misuse[3])
        local file, at, text = err:match "^(.-):(%d+): (.*)$"
        assert.is_false(ok)
        assert.matches("uv/calls_spec.lua", file, 1, true)
        assert.equal(line + 1 + 2 * i, tonumber(at))
        assert.matches(misuse[2], text)
      end
    end)
  end)

  it("cannot suspend in a coroutine or across a C call #M15", function()
    uvjobs.run(function()
      local ok, err = coroutine.resume(coroutine.create(function() return uv.fs_stat("/") end))
      assert.is_false(ok)
      assert.matches("'fs_stat' must be called in a job", err, 1, true)
      ok, err = pcall(string.gsub, "x", "x", function() return uv.fs_stat("/").type end)
      assert.is_false(ok)
      assert.matches("'fs_stat' cannot suspend across a C call", err, 1, true)
    end)
  end)

  it("of a directory is a method, too", function()
    uvjobs.run(function()
      local dir = assert(uv.fs_opendir("/", nil, 1))
      local suspended, found = world.suspends(dir.readdir, dir)
      assert.is_true(suspended)
      assert.equal(1, #found)
      local late, closed = world.suspends(dir.closedir, dir)
      assert.is_true(late)
      assert.is_true(closed)
      local theirs = luv.fs_opendir("/", nil, 1)
      assert.is_false((world.suspends(theirs.readdir, theirs)))
      assert.is_true(theirs:closedir())
    end)
  end)
end)

describe("new_work", function()
  after_each(world.check_clean_threads)

  it("runs its function in luv's threads, and returns the results", function()
    uvjobs.run(function()
      local work = uv.new_work(function(a, b) return a + b, "text", nil, true end)
      local results = table.pack(world.suspends(work.queue, work, 1, 2))
      assert.same({ n = 5, true, 3, "text", nil, true }, results)
      assert.equal(7, (uv.queue_work(work, 3, 4)))
    end)
  end)

  it("serves several jobs, each with its own results", function()
    uvjobs.run(function()
      local work = uv.new_work(function(n) return ("%d"):format(n) end)
      local texts = uvjobs.map({ 1, 2, 3, 4, 5, 6 }, function(n) return (work:queue(n)) end)
      assert.equal("1 2 3 4 5 6", table.concat(texts, " "))
    end)
  end)

  it("with a second function is luv's own", function()
    uvjobs.run(function()
      local seen
      local work = uv.new_work(function(n) return n + 1 end, function(n) seen = n end)
      assert.is_true(uv.queue_work(work, 1))
      world.wait_until(function() return seen end)
      assert.equal(2, seen)
    end)
  end)

  it("refuses what is not a function", function()
    uvjobs.run(function() assert.is_false((pcall(uv.new_work, {}))) end)
  end)
end)
