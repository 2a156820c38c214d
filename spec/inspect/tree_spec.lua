-- What `uvjobs tree` and `uvjobs why` print of a moment.

local answer = require "uvjobs.inspect.answer"
local ask = require "uvjobs.inspect.ask"
local helper = require "spec.helper"
local insight = require "uvjobs.insight"
local tree = require "uvjobs.inspect.tree"
local uvjobs = require "uvjobs"
local why = require "uvjobs.inspect.why"

local virtual = helper.virtual

--- What a process would be told that looks now.
local function look(question)
  return ask.read(answer(question or "look", {}))[1]
end

--- The text, with places that differ from run to run made equal.
local function plain(lines, first)
  local text = table.concat(lines, "\n") .. "\n"
  return (text:gsub("[^ (<]*tree_spec.lua:%d+", "SPEC")
    :gsub("#(%d+)", function(id) return "#" .. tonumber(id) - first end))
end

local function tree_of(loop, options)
  return plain(tree.lines(loop, options or { lines = true }), tonumber(loop.jobs[1].id) - 1)
end

describe("a tree", function()
  it("has each job once, below the one that has spawned it #I2", function()
    virtual(function()
      local shop <close> = helper.quiet { name = "shop" }
      local cellar <close> = helper.quiet { name = "cellar", limit = 1 }
      shop:spawn({ name = "sale" }, function()
        cellar:spawn({ name = "fetch" }, function() uvjobs.sleep(9) end)
        cellar:spawn({ name = "store" }, function() end)
        uvjobs.sleep(8)
      end)
      shop:spawn(function() uvjobs.event():wait() end)
      uvjobs.sleep(2)
      assert.equal([[
#1 "main", active in "main", 2 s old: it runs (SPEC)
├─ #2 "sale", active in "shop", 2 s old: it sleeps, 6 s left (SPEC)
│  ├─ #4 "fetch", active in "cellar", 2 s old: it sleeps, 7 s left (SPEC)
│  └─ #5 "store", pending in "cellar", 2 s old: WAITS
└─ #3, active in "shop", 2 s old: it waits for an event (SPEC)
]], (tree_of(look()):gsub('it waits for a slot of scheduler "cellar", taken by #4 "fetch"',
        "WAITS")))
      shop:close()
      cellar:close()
    end)
  end)

  it("can be drawn in ASCII", function()
    virtual(function()
      local shop <close> = helper.quiet { name = "shop" }
      for i = 1, 2 do shop:spawn(uvjobs.sleep, i) end
      uvjobs.sleep(0.5)
      local text = tree_of(look(), {})
      assert.matches("\n|%- #2, ", text)
      assert.matches("\n`%- #3, ", text)
      shop:close()
    end)
  end)

  it("tells many that do the same at the same place in one line, or each if asked to", function()
    virtual(function()
      local shop <close> = helper.quiet { name = "shop" }
      for i = 1, 5 do shop:spawn({ name = "sale" }, function() uvjobs.sleep(i) end) end
      uvjobs.sleep(0.5)
      assert.equal([[
#1 "main", active in "main", 0.5 s old: it runs (SPEC)
└─ #2 to #6 "sale" (5 jobs), active in "shop", 0.5 s old: it sleeps (SPEC)
]], tree_of(look "tree"))
      local _, lines = tree_of(look "look"):gsub("\n", "")
      assert.equal(6, lines)
      shop:close()
    end)
  end)

  it("tells jobs of a circle one by one, however alike they are", function()
    virtual(function()
      local shop <close> = helper.quiet { name = "shop" }
      local jobs = {}
      for i = 1, 5 do
        jobs[i] = shop:spawn({ name = "one" }, function()
          uvjobs.sleep(1)
          jobs[i % 5 + 1]:wait()
        end)
      end
      uvjobs.sleep(2)
      local text = plain(tree.lines(look "tree", {}), jobs[1].id - 2)
      assert.equal('#2 "one", #3 "one", #4 "one", #5 "one", #6 "one", #2 "one"',
        text:match "each for the next: ([^\n]*)")
      for i = 2, 6 do assert.matches(('\n[|`]%%- #%d "one", active'):format(i), text) end
      shop:close()
    end)
  end)

  it("is a few lines for many jobs that do the same, in the answer already", function()
    virtual(function()
      local shop <close> = helper.quiet { name = "shop", limit = math.huge }
      for _ = 1, 1000 do shop:spawn({ name = "sale" }, uvjobs.sleep, 9) end
      uvjobs.sleep(0.5)
      assert.is_true(#answer("tree", {}) < 2000)
      assert.matches('#2 to #1001 "sale" %(1000 jobs%)', tree_of(look "tree"))
      shop:close()
    end)
  end)

  it("is in the order of the numbers, whichever jobs have ended before", function()
    virtual(function()
      local shop <close> = helper.quiet { name = "shop", limit = math.huge }
      for _ = 1, 3 do
        for i = 1, 400 do shop:spawn(uvjobs.sleep, i * 7 % 11 + 0.5) end
        uvjobs.sleep(5)
      end
      local last, count = 0, 0
      for record in insight.jobs() do
        assert.is_true(record.id > last)
        last, count = record.id, count + 1
      end
      assert.equal(shop.active_count + 1, count)
      shop:close()
    end)
  end)

  it("names the jobs that wait for each other first", function()
    virtual(function()
      local bank <close> = helper.quiet { name = "bank" }
      local a, b = uvjobs.mutex(), uvjobs.mutex()
      for i = 1, 2 do
        bank:spawn({ name = "j" .. i }, function()
          (i == 1 and a or b):lock()
          uvjobs.sleep(1);
          (i == 1 and b or a):lock()
        end)
      end
      uvjobs.sleep(2)
      assert.matches("^these jobs wait for each other, each for the next: "
        .. '#2 "j1", #3 "j2", #2 "j1"\n', tree_of(look()))
      bank:close()
    end)
  end)

  it("has the jobs whose spawner has ended at the top", function()
    virtual(function()
      local shop <close> = helper.quiet { name = "shop" }
      local first = shop:spawn(function() shop:spawn({ name = "orphan" }, uvjobs.sleep, 9) end)
      first:wait()
      assert.matches('\n#3 "orphan", active in "shop"', tree_of(look()))
      shop:close()
    end)
  end)

  it("tells jobs together whose different spawners have ended", function()
    virtual(function()
      local shop <close> = helper.quiet { name = "shop" }
      for _ = 1, 5 do
        shop:spawn(function() shop:spawn({ name = "orphan" }, function() uvjobs.sleep(9) end) end)
      end
      uvjobs.sleep(1)
      assert.matches('\n#7 to #11 "orphan" %(5 jobs%), active in "shop"', tree_of(look "tree"))
      shop:close()
    end)
  end)

  it("keeps a name with line breaks and tabs in its line", function()
    virtual(function()
      local shop <close> = helper.quiet { name = "a\tb\nc" }
      shop:spawn({ name = "x\n\ty\\z" }, uvjobs.sleep, 9)
      uvjobs.sleep(1)
      local loop = look()
      assert.equal("x\n\ty\\z", loop.jobs[2].name)
      assert.equal("a\tb\nc", loop.schedulers[2].name)
      assert.matches('\n└─ #2 "x\\n\\9y\\\\z", active in "a\\9b\\nc"', tree_of(loop))
      shop:close()
    end)
  end)

  it("is the same whether it is seen from inside or from outside #I2", function()
    virtual(function()
      local shop <close> = helper.quiet { name = "shop", limit = 20 }
      local queue = uvjobs.queue()
      for i = 1, 50 do
        shop:spawn({ name = i % 3 == 0 and "three" or nil }, function()
          if i % 2 == 0 then queue:get() else uvjobs.sleep(i) end
        end)
      end
      uvjobs.sleep(0.1)
      local loop, i = look(), 0
      for record in insight.jobs() do
        i = i + 1
        local job = loop.jobs[i]
        assert.equal(tostring(record.id), job.id)
        assert.equal(record.name, job.name)
        assert.equal(record.state, job.state)
        assert.equal(record.waits_for, job.waits)
        assert.equal(record.parent and tostring(record.parent), job.parent)
        assert.equal(record.kind, job.kind)
        assert.equal(record.scheduler.name, loop.schedulers[tonumber(job.scheduler)].name)
      end
      assert.equal(i, #loop.jobs)
      shop:close()
    end)
  end)
end)

describe("why", function()
  it("says the same as insight.why() #I4", function()
    virtual(function()
      local bank <close> = helper.quiet { name = "bank", limit = 1 }
      local job = bank:spawn({ name = "first" }, function() uvjobs.sleep(9) end)
      local second = bank:spawn({ name = "second" }, function() end)
      uvjobs.sleep(1)
      local loop = look()
      local found = why.find({ loop }, "#" .. second.id)
      assert.equal(insight.why(second), table.concat(why.lines(loop, found), "\n"))
      found = why.find({ loop }, "first")
      assert.equal(insight.why(job), table.concat(why.lines(loop, found), "\n"))
      bank:close()
    end)
  end)

  it("ends a chain that comes back to where it was #I4", function()
    virtual(function()
      local bank <close> = helper.quiet()
      local jobs = {}
      for i = 1, 3 do
        jobs[i] = bank:spawn(function() uvjobs.sleep(1) jobs[i % 3 + 1]:wait() end)
      end
      uvjobs.sleep(2)
      local loop = look()
      local text = table.concat(why.lines(loop, loop.by_id[tostring(jobs[2].id)]), "\n")
      assert.equal(insight.why(jobs[2]), text)
      assert.matches("again: these wait for each other$", text)
      bank:close()
    end)
  end)

  it("finds a job by its number or by its name, and says when that is not enough", function()
    virtual(function()
      local shop <close> = helper.quiet { name = "shop" }
      for _ = 1, 2 do shop:spawn({ name = "sale" }, uvjobs.sleep, 9) end
      uvjobs.sleep(1)
      local loops = { look() }
      local id = loops[1].jobs[2].id
      assert.equal(id, why.find(loops, id).id)
      assert.equal("main", why.find(loops, "main").name)
      assert.same({ nil, "there is no job #987654; it may have ended" },
        { why.find(loops, "#987654") })
      assert.matches("^2 jobs are called sale: #%d+, #%d+$", select(2, why.find(loops, "sale")))
      shop:close()
    end)
  end)
end)
