-- Queues of durable stores, as those who look at a process are shown them.

-- Lua registers the types of C modules when they are loaded, which must be before the helper.
local has_sqlite = pcall(require, "uvjobs.store.sqlite")

local answer = require "uvjobs.inspect.answer"
local ask = require "uvjobs.inspect.ask"
local durable = require "uvjobs.durable"
local helper = require "spec.helper"
local object = require "uvjobs.inspect.object"
local outside = require "spec.inspect.helper"
local queues = require "uvjobs.insight.queues"
local screen = require "uvjobs.inspect.screen"
local tree = require "uvjobs.inspect.tree"
local uvjobs = require "uvjobs"
local words = require "uvjobs.inspect.words"

--- Runs fn(store) under the virtual clock with a store in memory that has some tasks.
local function with_store(fn)
  return function()
    uvjobs.run({ clock = "virtual" }, function()
      local store <close> = durable.open "memory:"
      store:define("mail", { queue = "mails", attempts = 1 }, function(_, seconds)
        if seconds == 0 then error "no" end
        uvjobs.sleep(seconds)
      end)
      for _, seconds in ipairs { 0, 60, 60, 60, 60 } do store:enqueue("mail", seconds) end
      store:enqueue("mail", 1, { delay = 1000 })
      store:enqueue("mail", 1, { queue = "others" })
      store:pause "others"
      local work <close> = store:work { queues = { mails = 2 }, exception_handler = helper.ignore }
      uvjobs.sleep(3)
      fn(store, work)
      work:close()
    end)
  end
end

local function look(question)
  return ask.read(answer(question or "tree", {}))[1]
end

describe("the queues of a process", function()
  after_each(helper.check_clean)

  it("are shown with the numbers of their tasks", with_store(function()
    for _, question in ipairs { "look", "tree", "top age 10" } do
      local loop = look(question)
      local list = {}
      for i, queue in ipairs(loop.queues) do list[i] = queue.name .. ": " .. words.queue(queue) end
      assert.same({
        "mails: 2/2 here, 2 running, 2 ready for up to 3 s, 1 scheduled, 1 dead",
        "others: 0 running, 1 ready for up to 3 s, 0 scheduled, 0 dead, paused",
      }, list)
    end
  end))

  it("have a line each in the tree, and in top as long as there is room", with_store(function(store)
    local loop = look()
    assert.equal('queue "mails" of memory: 2/2 here, 2 running, 2 ready for up to 3 s, '
      .. "1 scheduled, 1 dead", tree.lines(loop, {})[1])
    for i = 1, 10 do store:enqueue("mail", 1, { queue = "q" .. i }) end
    local lines = screen.lines({ title = "", loops = { look "top age 10" }, sort = "age",
      selected = 1 }, 80, 24)
    assert.equal("queue mails: 2/2 here, 2 running, 2 ready for up to 3 s, 1 scheduled, 1 dead",
      lines[4].text)
    assert.equal("and 9 more queues", lines[7].text)
    assert.matches("ID NAME", lines[8].text)
  end))

  it("are numbers for programs", with_store(function()
    local list = object.of({ pid = 1, command = "" }, { look() }).loops[1].queues
    list[1].counted = nil
    assert.same({ name = "mails", store = "memory", here = 2, limit = 2, running = 2, ready = 2,
      scheduled = 1, dead = 1, oldest = 3.0 }, list[1])
    assert.is_true(list[2].paused)
  end))

  it("are not shown any more when their store is closed", with_store(function(store, work)
    work:close()
    store:close()
    assert.same({}, look().queues)
  end))

  it("can have any name, and be very many", with_store(function(store)
    for i = 1, 200 do store:enqueue("mail", 1, { queue = "a\t\n\27[31m=" .. i }) end
    local loop = look()
    assert.equal(100, #loop.queues)
    assert.equal("a\t\n\27[31m=1", loop.queues[1].name)
    assert.is_nil(tree.lines(loop, {})[1]:find "\n")
  end))

  it("are said not to be counted as long as that is so", function()
    assert.equal("3/inf here, not counted yet",
      words.queue { here = "3", limit = "none", counting = "yes" })
    assert.equal("not counted", words.queue { here = "0" })
    assert.equal("1 running, 2 ready, 3 scheduled, 4 dead, counted 7 s ago", words.queue {
      here = "0", counted = "7.0", running = "1", ready = "2", scheduled = "3", dead = "4",
      oldest = "0.5",
    })
  end)
end)

describe("the tasks of a store with a thread", function()
  local path

  before_each(function() path = os.tmpname() end)
  after_each(function()
    for _, ending in ipairs { "", ".db", ".db-wal", ".db-shm", ".db-lock" } do
      os.remove(path .. ending)
    end
    helper.check_clean()
  end)

  -- Nobody else can look at this process.
  it("are counted when somebody looks, and only then #I1", function()
    if not has_sqlite then return pending "needs uvjobs.store.sqlite" end
    uvjobs.run({ inspect = false }, function()
      local store <close> = durable.open("sqlite:" .. path .. ".db")
      store:define("mail", function() end)
      for _ = 1, 3 do store:enqueue("mail", nil, { delay = 1000 }) end
      local port = store._port
      local peek, counts = port.peek, 0
      function port.peek(...)
        counts = counts + 1
        return peek(...)
      end
      assert.equal(3, store:stats().queues.default.scheduled)
      assert.equal(0, counts)
      for _ = 1, 100 do queues.count() end
      assert.equal(1, counts)
      assert.same({}, queues.rows())
      while not queues.rows()[1] do uvjobs.sleep(0.001) end
      assert.equal(3, queues.rows()[1].scheduled)
      -- The next count is made after a rest, and one that fails changes nothing.
      queues.count()
      assert.equal(1, counts)
      store._census.due = 0
      function port.peek() error "no" end
      queues.count()
      assert.same({ 3, false }, { queues.rows()[1].scheduled, queues.rows()[1].counting })
      store._census.due = 0
      function port.peek(_, _, hear) hear { code = "unavailable", message = "no" } end
      queues.count()
      assert.same({ 3, false }, { queues.rows()[1].scheduled, queues.rows()[1].counting })
    end)
  end)

  it("are counted for the commands", function()
    if not has_sqlite then return pending "needs uvjobs.store.sqlite" end
    local self <close> = outside.start(([[
      local durable = require "uvjobs.durable"
      local uvjobs = require "uvjobs"
      uvjobs.run(function()
        local store <close> = durable.open "sqlite:%s.db"
        store:define("mail", function() end)
        for _ = 1, 7 do store:enqueue("mail", nil, { delay = 1000 }) end
        io.stdout:write "ready\n":flush()
        uvjobs.sleep(60)
      end)]]):format(path))
    self:wait_for "ready"
    outside.eventually(function()
      local text = outside.uvjobs("tree " .. self.pid)
      return text:find('\nqueue "default" of sqlite: 0 running, 0 ready, 7 scheduled', 1, true)
    end, function() return self:out() .. self:err() end)
    assert.equal("", self:err())
  end)
end)
