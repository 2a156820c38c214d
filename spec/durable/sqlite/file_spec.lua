-- The file of a store: what is refused, and what happens when it cannot be used any more.

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

local function with_path(fn)
  return function()
    local path = stores.new_path()
    uvjobs.run(fn, path)
    stores.remove(path)
  end
end

local function write(path, text)
  local file <close> = assert(io.open(path, "w"))
  file:write(text)
end

local function sql(path, text)
  local db = native.open(path, 5000)
  db:exec(text)
  db:close()
end

describe("the file of a store", function()
  after_each(base.check_clean)

  it("is refused when it is no database, and stays as it was", with_path(function(path)
    local text = ("this is no database\n"):rep(1000)
    write(path, text)
    local err = base.raises("corrupt", open, "sqlite:" .. path)
    assert.truthy(err.message:find(path, 1, true))
    assert.equal(text, files.read(path))
  end))

  it("is refused when it belongs to another program", with_path(function(path)
    sql(path, "PRAGMA application_id = 1234567; CREATE TABLE t (x)")
    local before = files.read(path)
    assert.matches("database of another program %(application_id 1234567%)",
      base.message(open, "sqlite:" .. path))
    assert.equal(before, files.read(path))
  end))

  it("can have tables of the program's own", with_path(function(path)
    sql(path, "CREATE TABLE orders (id INTEGER PRIMARY KEY); INSERT INTO orders VALUES (7)")
    local store <close> = open("sqlite:" .. path)
    local rows = store:transaction(function(tx) return tx:execute "SELECT id FROM orders" end)
    assert.equal(7, rows[1][1])
    assert.same({ "id" }, rows.names)
  end))

  it("is refused when a later version made it, unless that says it fits #D23", with_path(
    function(path)
      open("sqlite:" .. path):close()
      sql(path, "UPDATE uvjobs_meta SET value = 2")
      local before = files.read(path)
      assert.matches("version 2 of the tables, this program knows version 1",
        base.message(open, "sqlite:" .. path))
      assert.equal(before, files.read(path))
      sql(path, "UPDATE uvjobs_meta SET value = 1 WHERE name = 'compatible'")
      local store <close> = open("sqlite:" .. path)
      assert.truthy(store:stats())
    end))

  it("is refused in a directory that is not there", with_path(function()
    base.raises("unavailable", open, "sqlite:/nonexistent/directory/jobs.db")
    assert.matches("path of a file", base.message(open, "sqlite:"))
  end))

  it("is checked for options, with the name that was meant", with_path(function(path)
    assert.matches("unknown option 'durabilty', did you mean 'durability'%?",
      base.message(open, "sqlite:" .. path, { durabilty = "full" }))
    assert.matches("'full' or 'normal' expected, got 'none'",
      base.message(open, "sqlite:" .. path, { durability = "none" }))
    assert.matches("unknown option 'durability'",
      base.message(open, "memory:", { durability = "full" }))
    assert.matches("did you mean 'sqlite'%?", base.message(open, "sqlit:" .. path))
  end))

  it("is found out to be deleted or replaced, and nothing is lost silently #D24", with_path(
    function(path)
      local store <close> = open("sqlite:" .. path)
      store:define("kind", print)
      store:enqueue "kind"
      os.remove(path)
      local err
      repeat -- it is looked at once a second
        uvjobs.sleep(0.1)
        local _, raised = pcall(store.enqueue, store, "kind")
        err = raised
      until uvjobs.code(err) == "unavailable"
      assert.matches("deleted while it was in use", err.message)
      write(path, "")
      err = base.raises("unavailable", store.enqueue, store, "kind")
      assert.matches("replaced while it was in use", err.message)
    end))

  it("may be held by another program for some seconds #D24", with_path(function(path)
    local store <close> = open("sqlite:" .. path)
    store:define("kind", print)
    local db = native.open(path, 0)
    db:exec "BEGIN IMMEDIATE"
    local scheduler <close> = uvjobs.scheduler()
    local job = scheduler:spawn(store.enqueue, store, "kind")
    uvjobs.sleep(0.5)
    assert.equal("active", job.state)
    db:exec "COMMIT"
    db:close()
    assert.is_true((select(2, job:wait())))
  end))

  it("raises 'unavailable' when another program does not let go of it #D24", with_path(
    function(path)
      local store <close> = open("sqlite:" .. path)
      store:define("kind", print)
      local db = native.open(path, 0)
      db:exec "BEGIN IMMEDIATE"
      local err = base.raises("unavailable", store.enqueue, store, "kind")
      assert.is_nil(err.stored)
      db:close()
      assert.is_true((select(2, store:enqueue "kind")))
    end))

  it("leaves nothing of a call that is cancelled while it waits to be taken #D3 #M6", with_path(
    function(path)
      local store <close> = open("sqlite:" .. path)
      store:define("kind", print)
      local db = native.open(path, 0)
      db:exec "BEGIN IMMEDIATE"
      local scheduler <close> = base.quiet()
      local first = scheduler:spawn(store.enqueue, store, "kind", 1)
      uvjobs.sleep(0.2) -- the thread has it
      local second = scheduler:spawn(store.enqueue, store, "kind", 2)
      uvjobs.yield()
      uvjobs.yield()
      second:cancel()
      second:join()
      assert.equal("cancelled", second.state)
      first:cancel() -- this one cannot be taken back: it gets its answer
      db:exec "COMMIT"
      db:close()
      first:join()
      assert.equal("done", first.state)
      assert.equal(1, store:stats().queues.default.ready)
    end))

  it("ends a transaction whose job was killed before it had begun #D25 #M6", with_path(
    function(path)
      local store <close> = open("sqlite:" .. path)
      local db, told = native.open(path, 0), uvjobs.event()
      local port = store._port
      function port.tell(self, request)
        if request.op == "rollback" then told:set() end
        return getmetatable(self).__index.tell(self, request)
      end
      base.lengthen(0.1, function(seconds)
        db:exec "BEGIN IMMEDIATE"
        local jobs <close> = base.quiet()
        local job = jobs:spawn(store.transaction, store, function() uvjobs.sleep(3600) end)
        uvjobs.sleep(seconds) -- the thread takes it
        pcall(job.close, job, 0)
        assert.is_false(told:is_set())
        db:exec "COMMIT"
        return told:wait(2)
      end)
      db:close()
    end))

  it("has a WAL that does not grow without bound #D21", with_path(function(path)
    local store <close> = open("sqlite:" .. path, { durability = "normal" })
    store:define("kind", print)
    local args, most = ("x"):rep(200000), 0
    for _ = 1, 150 do
      store:cancel((store:enqueue("kind", args)))
      most = math.max(most, native.size(path .. "-wal"))
    end
    assert.is_true(most < 16 * 1024 * 1024, most)
  end))

  it("takes garbage that was written by hand for dead, and goes on", with_path(function(path)
    local store <close> = open("sqlite:" .. path)
    store:define("kind", function() end)
    store:enqueue("kind", 1)
    sql(path, "UPDATE uvjobs_task SET args = X'00ff' WHERE id = 1")
    local _ <close> = durable.work(store)
    assert.equal("dead", store:wait(1))
    assert.equal("corrupt", store:get(1).reason)
    store:define("other", function() end)
    assert.equal("done", store:wait((store:enqueue "other")))
  end))

  it("is full for a while: calls raise, workers go on by themselves #D24", function()
    local library, path = matrix.compile(), stores.new_path()
    local script = files.temporary(([[
      local uvjobs, durable = require "uvjobs", require "uvjobs.durable"
      uvjobs.run(function()
        local store <close> = durable.open("sqlite:%s")
        local ran = 0
        store:define("kind", function() ran = ran + 1 end)
        local work <close> = store:work { exception_handler = function() end }
        local stored, refused = 0, 0
        for i = 1, 60 do
          local ok, err = pcall(store.enqueue, store, "kind", ("x"):rep(5000))
          if ok then stored = stored + 1
          elseif uvjobs.code(err) == "unavailable" then refused = refused + 1
          else error(err, 0) end
        end
        io.open("%s-space", "w"):close()
        while ran < stored do uvjobs.sleep(0.01) end
        print(stored + refused, refused > 0, ran >= stored)
      end)
    ]]):format(path, path))
    local faults = ("%s FAULT_PATH=%s FAULT_AT=200 FAULT_HOW=full"):format(
      matrix.preload(library), path)
    local pipe <close> = io.popen(("%s env %s %s %s 2>&1"):format(process.GUARD, faults,
      process.command(""), script))
    assert.equal("60\ttrue\ttrue\n", pipe:read "a")
    os.remove(path .. "-space")
    os.remove(library)
    os.remove(script)
    stores.remove(path)
  end)
end)
