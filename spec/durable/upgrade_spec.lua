-- Tables of other versions of the program (D23): those of each release are kept in schemas/, and a
-- program of the next version works beside this one.

pcall(require, "uvjobs.store.sqlite")
pcall(require, "uvjobs.store.postgres")
require "uvjobs.schedule"

local base = require "spec.helper"
local durable = require "spec.durable.helper"
local files = require "spec.files"
local process = require "spec.process"
local stores = require "spec.durable.stores"
local uvjobs = require "uvjobs"

local open = require "uvjobs.durable".open

local VERSIONS <const> = { 1 } -- of which there is a file
local NEXT <const> = VERSIONS[#VERSIONS] + 1

-- How to write into a place without a store.
local WRITERS <const> = {
  sqlite = function(place, text)
    local db = require "uvjobs.store.sqlite".open(place.path, 60000)
    db:exec(text)
    db:close()
  end,
  postgres = function(place, text)
    text = text:gsub("%-%-[^\n]*\n", ""):gsub("STORE", place.schema)
    local statements = {}
    for statement in text:gmatch "[^;]+;" do statements[#statements + 1] = statement end
    require "spec.durable.postgres.server".run(table.unpack(statements))
  end,
}

local DIALECTS <const> = {
  sqlite = {
    name = "sqlite", schema = "lua/uvjobs/durable/sqlite/schema.lua", later = [[
      ALTER TABLE uvjobs_task ADD COLUMN later TEXT;
      CREATE TABLE uvjobs_later (name TEXT);
      UPDATE uvjobs_meta SET value = %d WHERE name = 'version';]],
  },
  postgres = {
    name = "postgres", schema = "lua/uvjobs/durable/postgres/schema.lua", later = [[
      ALTER TABLE STORE.task ADD COLUMN later text;
      CREATE TABLE STORE.later (name text);
      UPDATE STORE.meta SET value = %d WHERE name = 'version';]],
  },
}
DIALECTS["sqlite in a thread"] = DIALECTS.sqlite

-- What a file of schemas/ has, seen by this program.
local function check_old(store)
  local states = {}
  for task in store:tasks() do states[task.id] = task.state end
  assert.same({ "done", "dead", "ready", "scheduled", "cancelled" }, states)
  local done, dead = store:get(1), store:get(2)
  assert.same({ { id = 7, price = 1.0 }, { n = 1 } }, { done.args, done.saved })
  assert.same({ "failed", "it fails", "it fails again" },
    { dead.reason, dead.errors[1].message, dead.errors[2].message })
  assert.equal("nightly", store:schedules()[1].args)
  assert.is_true(store:resume "slow")
end

-- It goes on where the other version has left it.
local function go_on(store)
  local got = {}
  store:define("kind", { keep_done = 3600 }, function(task, args) got[task.id] = args end)
  local _ <close> = durable.work(store)
  assert.equal("done", store:wait(3))
  assert.is_true(store:retry(2))
  assert.equal("done", store:wait(2))
  assert.same({ 4, false }, { store:enqueue("kind", "x", { key = "later" }) })
  local id, is_new = store:enqueue("kind", "new", { key = "k" })
  assert.is_true(id > 5)
  assert.same({ true, "done" }, { is_new, store:wait(id) })
  assert.same({ "fails", { 1, 2, "three" }, "new" }, { got[2], got[3], got[id] })
end

-- A directory with the one module in which the next version of the program differs.
local function new_modules(dialect)
  local directory = os.tmpname()
  os.remove(directory)
  local path = directory .. "/" .. dialect.schema:gsub("^lua/", "")
  assert(os.execute(("mkdir -p %s"):format(process.quote(path:match "^(.*)/"))))
  local text, n = files.read(dialect.schema):gsub("VERSION <const> = %d+", "VERSION <const> = " ..
    NEXT)
  assert.equal(1, n)
  local file <close> = assert(io.open(path, "w"))
  file:write(text)
  return directory
end

-- A program that stores tasks and runs what there is, its own and the others'.
local PROGRAM <const> = [[
  package.path = %q .. "/?.lua;" .. package.path
  local uvjobs, durable = require "uvjobs", require "uvjobs.durable"
  uvjobs.run(function()
    local store <close> = durable.open(%q, { %s })
    store:define("count", function(_, n)
      uvjobs.sleep(0.001)
      print(n)
    end)
    local list = {}
    for n = 101, 200 do list[#list + 1] = { "count", n } end
    store:enqueue_all(list)
    local _ <close> = store:work { queues = { default = 5 } }
    while store:stats().queues.default do uvjobs.sleep(0.02) end
  end)
]]

for _, kind in ipairs(stores) do
  local dialect = DIALECTS[kind.name]
  if dialect then
    describe("the tables of another version, in " .. kind.name .. ",", function()
      after_each(base.check_clean)

      for _, version in ipairs(VERSIONS) do
        it(("are read and gone on with: version %d #D23"):format(version), function()
          local place = kind.new()
          WRITERS[dialect.name](place, files.read(("spec/durable/schemas/%s-%d.sql"):format(
            dialect.name, version)))
          uvjobs.run({ clock = kind.virtual and "virtual" or "real" }, function()
            local store <close> = open(place.where, place.options)
            check_old(store)
            go_on(store)
          end)
          place.remove()
        end)
      end

      if not kind.virtual then
        it("are used by both programs at once, and each task runs once #D6 #D23", function()
          local place, seen = kind.new(), {}
          local directory = new_modules(dialect)
          uvjobs.run(function()
            local store <close> = open(place.where, place.options)
            store:define("count", function(_, n)
              uvjobs.sleep(0.001)
              assert.is_nil(seen[n])
              seen[n] = true
            end)
            local _ <close> = durable.work(store, { queues = { default = 5 } })
            store:wait((store:enqueue("count", 0)))
            WRITERS[dialect.name](place, dialect.later:format(NEXT))
            local script = files.temporary(PROGRAM:format(directory, place.where,
              place.schema and ("schema = %q"):format(place.schema) or ""))
            local pipe <close> = io.popen(("%s %s %s 2>&1 </dev/null"):format(process.GUARD,
              process.command(), script))
            for n = 1, 100 do
              store:enqueue("count", n)
              uvjobs.sleep(0.002)
            end
            while store:stats().queues.default do uvjobs.sleep(0.02) end
            local text = pipe:read "a"
            for line in text:gmatch "[^\n]+" do
              local n = assert(math.tointeger(tonumber(line)), text)
              assert.is_nil(seen[n])
              seen[n] = true
            end
            os.remove(script)
          end)
          for n = 0, 200 do assert.is_true(seen[n], n) end
          os.execute("rm -r " .. process.quote(directory))
          place.remove()
        end)
      end
    end)
  end
end
