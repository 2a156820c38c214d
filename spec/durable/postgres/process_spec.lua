-- Several processes with one store in PostgreSQL, of which some are killed or stopped.
if not os.getenv "UVJOBS_POSTGRES" or
  not package.searchpath("uvjobs.store.postgres", package.cpath) then return end

require "uvjobs.store.postgres"

local base = require "spec.helper"
local durable = require "spec.durable.helper"
local process = require "spec.process"
local server = require "spec.durable.postgres.server"
local uvjobs = require "uvjobs"

local kind = { name = "postgres", virtual = false, new = server.new_place }

-- Starts program.lua. Returns a function that sends it a signal.
local function start(place, seconds, lease)
  local pipe <close> = assert(io.popen(("%s spec/durable/postgres/program.lua '%s' %s %s %s " ..
    ">/dev/null 2>&1 </dev/null & echo $!"):format(process.command(), place.where,
    place.schema, seconds, lease or 2)))
  local pid = pipe:read "n"
  return function(signal) os.execute(("kill -%s %d 2>/dev/null"):format(signal, pid)) end
end

local function make_notes(place)
  server.run("CREATE TABLE " .. place.schema .. ".note (n bigint, at timestamptz DEFAULT now())")
end

local function count_of(place, condition)
  return server.run(("SELECT count(*) FROM %s.%s"):format(place.schema, condition))[1][1]
end

local function wait_for(place, condition, n)
  while count_of(place, condition) < n do uvjobs.sleep(0.02) end
end

describe("processes with a store in PostgreSQL", function()
  after_each(base.check_clean)

  it("run every task when some of them are killed #D6 #D8", durable.with_store(kind,
    function(store, _, place)
      make_notes(place)
      store:define("note", { keep_done = 3600, attempts = 1000 }, print)
      for n = 1, 40 do store:enqueue("note", n, { key = tostring(n) }) end
      local first, second = start(place, 0.02), start(place, 0.02)
      wait_for(place, "note", 5)
      first "KILL"
      local third = start(place, 0.02)
      wait_for(place, "note", 20)
      second "KILL"
      wait_for(place, "task WHERE state = 3", 40)
      third "KILL"
      local distinct = server.run("SELECT count(DISTINCT n) FROM " .. place.schema .. ".note")
      assert.equal(40, distinct[1][1])
      assert.equal(0, count_of(place, "task WHERE state <> 3"))
    end))

  it("take a task back within the lease and a second after SIGKILL #D8", durable.with_store(kind,
    function(store, _, place)
      make_notes(place)
      local ran = uvjobs.event()
      local signal = start(place, 3600)
      store:define("note", { keep_done = 3600 }, function() ran:set() end)
      local id = store:enqueue("note", 1)
      wait_for(place, "note", 1)
      signal "KILL"
      local since = uvjobs.now()
      local _ <close> = durable.work(store, { lease = 2 })
      ran:wait()
      -- That is 2 s and 1 s, and what a slow machine needs besides.
      assert.is_true(uvjobs.now() - since < 2 + 1 + 20)
      assert.equal("done", store:wait(id))
      assert.equal(1, store:get(id).crashes)
    end))

  it("refuse a process that was stopped for longer than its lease #D7", durable.with_store(kind,
    function(store, _, place)
      make_notes(place)
      local signal = start(place, 3)
      local ran, go_on = uvjobs.event(), uvjobs.event()
      store:define("note", { keep_done = 3600 }, function()
        ran:set()
        go_on:wait()
      end)
      local id = store:enqueue("note", 1)
      wait_for(place, "note", 1)
      signal "STOP"
      local work <close> = durable.work(store, { lease = 60 })
      ran:wait()
      signal "CONT"
      uvjobs.sleep(4) -- by now the other has ended its run, and said so
      assert.equal("running", store:get(id).state)
      local row = server.run(("SELECT process FROM %s.task"):format(place.schema))[1]
      assert.equal(work._process, row[1])
      go_on:set()
      assert.equal("done", store:wait(id))
      signal "KILL"
    end))

  it("have one live task of a key, whoever stores it #D5", durable.with_store(kind,
    function(store, _, place)
      local open = require "uvjobs.durable".open
      local scheduler <close> = base.quiet { limit = math.huge }
      local new, ids = 0, {}
      for _ = 1, 10 do
        scheduler:spawn(function()
          local one <close> = open(place.where, place.options)
          one:define("storm", print)
          for n = 1, 20 do
            local id, is_new = one:enqueue("storm", n, {
              key = "k" .. n % 4, on_key = n % 3 == 0 and "replace" or n % 5 == 0 and "debounce" or
                "keep",
            })
            new = new + (is_new and 1 or 0)
            ids[id] = true
          end
        end)
      end
      scheduler:wait_and_close()
      assert.equal(4, new)
      local count = 0
      for _ in pairs(ids) do count = count + 1 end
      assert.equal(4, count)
      assert.equal(4, store:stats().queues.default.ready)
    end))

  it("tell each other of new tasks #D14", durable.with_store(kind, function(store, _, place)
    local other <close> = require "uvjobs.durable".open(place.where, place.options)
    local heard, hear = {}, store._hear
    store._hear = function(self, hint)
      hear(self, hint)
      for _, queue in ipairs(hint) do heard[queue] = true end
    end
    other:define("any", print)
    other:enqueue "any"
    other:enqueue("any", nil, { queue = "it's" })
    while not (heard.default and heard["it's"]) do uvjobs.sleep(0.01) end
  end))
end)
