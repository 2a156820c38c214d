-- A process with several loops, whose jobs have the same numbers.

local ask = require "uvjobs.inspect.ask"
local helper = require "spec.inspect.helper"
local top = require "uvjobs.inspect.top"

local PROGRAM <const> = [[
  local uvjobs = require "uvjobs"
  local function inner(name)
    local uvjobs = require "uvjobs"
    uvjobs.run({ inspect = { control = true } }, function()
      local shop = uvjobs.scheduler { name = name, exception_handler = function() end }
      local job = shop:spawn({ name = "sale" }, uvjobs.sleep, 60)
      pcall(job.wait, job)
      io.stdout:write(name, " ", job.state, "\n"):flush()
      uvjobs.sleep(60)
    end)
  end
  uvjobs.run({ inspect = { control = true } }, function()
    local shop = uvjobs.scheduler { name = "outer" }
    for _, name in ipairs { "one", "two" } do
      shop:spawn({ name = "thread" }, uvjobs.work, inner, name)
    end
    uvjobs.sleep(60)
  end)]]

--- Waits until all loops are there and have their jobs. Returns them.
local function look(self)
  return helper.eventually(function()
    local loops = ask.look(self.pid) or {}
    local jobs = 0
    for _, loop in ipairs(loops) do jobs = jobs + #loop.jobs end
    return #loops == 3 and jobs == 7 and loops
  end)
end

-- The loop with a scheduler of this name.
local function loop_of(loops, name)
  for i, loop in ipairs(loops) do
    if loop.schedulers[2].name == name then return loop, i end
  end
end

describe("a process with several loops", function()
  it("tells all of them, each by a number", function()
    local self <close> = helper.start(PROGRAM)
    local loops = look(self)
    local out = helper.uvjobs("tree " .. self.pid)
    for i = 1, 3 do
      assert.matches(("\nloop %d of 3\n#1 \"main\""):format(i), out)
      assert.is_true(tonumber(loops[i].fields.number) >= i)
    end
    assert.matches(("\n%%s*%d%%s+7  runs"):format(self.pid), (helper.uvjobs("ps " .. self.pid)))
  end)

  it("has jobs of the same number, of which why takes one with its loop", function()
    local self <close> = helper.start(PROGRAM)
    local _, i = loop_of(look(self), "two")
    local out, complaint, status = helper.uvjobs(("why %d 2"):format(self.pid))
    assert.same({ "", 1 }, { out, status })
    assert.matches("3 jobs are called 2: 1#2, 2#2, 3#2\n", complaint)
    out, complaint, status = helper.uvjobs(("why %d %d#2"):format(self.pid, i))
    assert.same({ "", 0 }, { complaint, status })
    assert.matches('^job #2 "sale": it sleeps', out)
    complaint = select(2, helper.uvjobs(("why %d 4#2"):format(self.pid)))
    assert.matches("there is no job 4#2; it may have ended\n", complaint)
  end)

  it("cancels the job of the loop that is meant, and no other #I16", function()
    for _, name in ipairs { "one", "two" } do
      local self <close> = helper.start(PROGRAM)
      local number = loop_of(look(self), name).fields.number
      for _, wrong in ipairs { "99", "x", "0", "" } do
        assert.is_nil(ask.cancel(self.pid, 2, wrong))
      end
      assert(ask.cancel(self.pid, 2, number))
      self:wait_for "cancelled"
      assert.equal(name .. " cancelled\n", self:out())
    end
  end)

  it("cancels the job that is selected in top #I16", function()
    local self <close> = helper.start(PROGRAM)
    local loops = look(self)
    local view = top.view(self.pid)
    assert(top.look(view))
    local row = 2 -- of the loop
    for _, loop in ipairs(loops) do
      if loop.schedulers[2].name == "two" then break end
      row = row + #loop.jobs
    end
    view.selected = row
    top.press(view, "w")
    assert.matches('^job #2 "sale": it sleeps', view.why[1])
    top.press(view, "w")
    top.press(view, "c")
    assert.matches('^cancel job #2 "sale"%?', view.question)
    top.press(view, "y")
    assert.equal("job #2 is cancelled", view.message)
    self:wait_for "cancelled"
    assert.equal("two cancelled\n", self:out())
  end)
end)
