-- What a system can do to the file of a store: the disk fills up, the file or its directory cannot
-- be written, another program holds its lock for long, its pages are damaged, files beside it are
-- taken away. A library that is preloaded plays the system, so no rights are needed for it.

if not pcall(require, "uvjobs.store.sqlite") then return end

local base = require "spec.helper"
local durable = require "spec.durable.helper"
local files = require "spec.files"
local matrix = require "spec.durable.sqlite.kill_matrix"
local native = require "uvjobs.store.sqlite"
local process = require "spec.process"
local stores = require "spec.durable.stores"
local uvjobs = require "uvjobs"

local open = require "uvjobs.durable".open

local library
local function compiled()
  library = library or matrix.compile()
  return library
end

local function remove_library()
  if library then os.remove(library) end
  library = nil
end

-- What a program prints that runs under the library. It finds the path of the database in PATH, and
-- `try`, which calls something and prints how that went.
local function run(path, how, text)
  local script = files.temporary(([[
    local PATH = %q
    local uvjobs, durable = require "uvjobs", require "uvjobs.durable"
    local function try(fn, ...)
      local ok, err = pcall(fn, ...)
      print(ok or uvjobs.code(err) or "misuse", ok and "" or (tostring(err):gsub(PATH, "PATH")))
      return ok and err
    end
    uvjobs.run(function()
      %s
    end)
  ]]):format(path, text))
  local pipe <close> = io.popen(("%s env %s FAULT_PATH=%s FAULT_HOW=%s %s %s 2>&1"):format(
    process.GUARD, matrix.preload(compiled()), path, how, process.command(""), script))
  local out = pipe:read "a"
  os.remove(script)
  return out
end

local function with_path(fn)
  return function()
    local path = stores.new_path()
    fn(path)
    stores.remove(path)
  end
end

-- A file that is a store with one task, and what is in it.
local function make(path)
  uvjobs.run(function()
    local store <close> = open("sqlite:" .. path)
    durable.put(store)
  end)
  return files.read(path)
end

local function is_there(path) return native.file(path) ~= nil end

local function write(path, text)
  local file <close> = assert(io.open(path, "wb"))
  file:write(text)
end

describe("a file that a system does not let be written", function()
  teardown(remove_library)

  local OPEN <const> = [[try(durable.open, "sqlite:" .. PATH)]]

  it("is refused by a text that says so, and nothing is made beside it", with_path(function(path)
    local before = make(path)
    assert.equal("misuse\tcannot open 'PATH': the file cannot be written (read-only)\n",
      run(path, "read-only", OPEN))
    assert.equal(before, files.read(path))
    assert.is_false(is_there(path .. "-wal") or is_there(path .. "-shm"))
  end))

  it("is refused when it cannot be made", with_path(function(path)
    assert.equal("unavailable\tcannot open 'PATH': it cannot be made in its directory\n",
      run(path, "sealed", OPEN))
    assert.is_false(is_there(path))
  end))

  it("is refused when nothing can be made beside it", with_path(function(path)
    local before = make(path)
    local out = run(path, "sealed", OPEN)
    assert.truthy(out:find("cannot open 'PATH': ", 1, true), out)
    assert.equal(before, files.read(path))
  end))

  it("is refused on a network, unless that is meant", with_path(function(path)
    assert.equal("misuse\t'PATH' is on a network file system (NFS), where locks cannot be " ..
      "relied on; option 'network' allows it\n", run(path, "network", OPEN))
    assert.is_false(is_there(path))
    assert.equal("true\t\n", run(path, "network",
      [[try(durable.open, "sqlite:" .. PATH, { network = true })]]))
  end))
end)

describe("a disk that is full", function()
  teardown(remove_library)

  local FILL <const> = [[
    local function fill(is_full)
      if is_full then io.open(PATH .. "-full", "w"):close() else os.remove(PATH .. "-full") end
    end
  ]]

  it("is said when a store is opened on it", with_path(function(path)
    local out = run(path, "fills", FILL .. [[
      fill(true)
      try(durable.open, "sqlite:" .. PATH)
      fill(false)
    ]])
    assert.matches("^unavailable\tcannot open 'PATH': .*full", (out:gsub("No space", "full")))
  end))

  it("refuses new tasks, and runs none twice that ended while it was full #D24", with_path(
    function(path)
      assert.equal("unavailable\tdatabase or disk is full\ndone\t1\ntrue\t\n", run(path, "fills",
        FILL .. [[
        local store <close> = durable.open("sqlite:" .. PATH)
        local runs = 0
        store:define("kind", { keep_done = 3600 }, function()
          runs = runs + 1
          fill(true)
        end)
        local _ <close> = store:work { exception_handler = function() end }
        store:enqueue("kind")
        while runs == 0 do uvjobs.sleep(0.01) end
        try(store.enqueue, store, "kind")
        uvjobs.sleep(1) -- much is tried meanwhile
        fill(false)
        print(store:wait(1), runs)
        store:define("other", function() end)
        try(store.enqueue, store, "other")
      ]]))
    end))

  it("takes a task away from a process whose lease it lets end, which runs it again #D9",
    with_path(function(path)
      assert.equal("true\tcancelled\ndone\t2\n", run(path, "fills", FILL .. [[
        local store <close> = durable.open("sqlite:" .. PATH)
        local runs, is_lost, why = 0, false, nil
        store:define("kind", { keep_done = 3600 }, function()
          runs = runs + 1
          if runs == 2 then return end
          fill(true)
          local _, err = pcall(uvjobs.sleep, 3600)
          why = uvjobs.code(err)
          error(err, 0)
        end)
        local _ <close> = store:work { lease = 2, exception_handler = function(_, context)
          is_lost = is_lost or context.message == "A task is lost"
        end }
        store:enqueue("kind")
        while not is_lost or not why do uvjobs.sleep(0.01) end
        print(is_lost, why)
        fill(false)
        print(store:wait(1), runs)
      ]]))
    end))
end)

describe("another program", function()
  after_each(base.check_clean)

  -- A process of its own that holds the file for so many seconds, and says when it has it.
  local function hold(path, seconds)
    local script = files.temporary(([[
      local db = require "uvjobs.store.sqlite".open(%q, 60000)
      db:exec "BEGIN IMMEDIATE"
      print "held"
      io.stdout:flush()
      os.execute "sleep %g"
      db:exec "COMMIT"
      db:close()
    ]]):format(path, seconds))
    local pipe = io.popen(("%s %s"):format(process.command(), script))
    assert.equal("held", pipe:read "l")
    return pipe, script
  end

  it("may hold the lock for four seconds: nothing is lost, and no lease ends #D9 #D24", with_path(
    function(path)
      uvjobs.run(function()
        local store <close> = open("sqlite:" .. path)
        local runs, reports = {}, {}
        store:define("kind", { keep_done = 3600 }, function(task)
          runs[task.id] = (runs[task.id] or 0) + 1
          uvjobs.sleep(1)
        end)
        local _ <close> = durable.work(store, {}, reports)
        local first = store:enqueue "kind"
        while not runs[first] do uvjobs.sleep(0.01) end
        local pipe, script = hold(path, 4)
        local stored = {}
        uvjobs.each({ 1, 2, 3, 4, 5 }, function(i)
          while not stored[i] do -- a machine that is slow may make it longer than five seconds
            local ok, id = pcall(store.enqueue, store, "kind", i)
            if not ok then assert.equal("unavailable", uvjobs.code(id)) end
            stored[i] = ok and id or nil
          end
        end)
        for i = 1, 5 do assert.equal("done", store:wait(stored[i])) end
        assert.equal("done", store:wait(first))
        for id, n in pairs(runs) do assert.same({ id, 1 }, { id, n }) end
        for _, context in ipairs(reports) do
          assert.equal("The store does not answer", context.message)
        end
        pipe:close()
        os.remove(script)
      end)
    end))
end)

describe("a file whose pages are damaged", function()
  after_each(base.check_clean)

  local PAGE <const> = 4096

  -- All pages but so many are noise. The first one says that it is a database.
  local function damage(path, sound)
    local text, noise = files.read(path), {}
    for i = 1, #text - sound * PAGE do noise[i] = string.char(i * 7 % 251) end
    write(path, text:sub(1, sound * PAGE) .. table.concat(noise))
  end

  it("is refused by the code 'corrupt', and stays as it is", with_path(function(path)
    make(path)
    damage(path, 1)
    local before = files.read(path)
    uvjobs.run(function()
      local err = base.raises("corrupt", function()
        local store <close> = open("sqlite:" .. path)
        store:stats()
      end)
      assert.matches("malformed", err.message)
    end)
    assert.equal(before, files.read(path))
  end))

  it("raises 'corrupt' in the calls that come to them", with_path(function(path)
    uvjobs.run(function()
      local store <close> = open("sqlite:" .. path)
      local list = {}
      for i = 1, 200 do list[i] = { "kind", ("x"):rep(1000), { delay = 3600, remote = true } } end
      store:enqueue_all(list)
    end)
    damage(path, 20) -- the tables are there, but not the tasks
    uvjobs.run(function()
      local store <close> = open("sqlite:" .. path)
      base.raises("corrupt", function()
        for task in store:tasks() do store:cancel(task.id) end
      end)
    end)
  end))
end)

describe("a file that SQLite or the locks need", function()
  after_each(base.check_clean)

  for _, ending in ipairs { "-lock", "-wal" } do
    it(("is found out to be taken away in use: %s #D7 #D24"):format(ending), with_path(
      function(path)
        uvjobs.run(function()
          local store <close> = open("sqlite:" .. path)
          store:define("kind", print)
          store:enqueue "kind"
          os.remove(path .. ending)
          local err
          repeat -- it is looked at once a second
            uvjobs.sleep(0.1)
            local _, raised = pcall(store.enqueue, store, "kind")
            err = raised
          until uvjobs.code(err) == "unavailable"
          assert.truthy(err.message:find(("'%s%s' was deleted while it was in use"):format(path,
            ending), 1, true))
        end)
      end))
  end
end)
