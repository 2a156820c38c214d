-- Random programs whose jobs wait for each other, against a plain reference.
local graph = require "uvjobs.insight.graph"
local helper = require "spec.helper"
local insight = require "uvjobs.insight"
local Look = require "uvjobs.insight.look"
local waits = require "spec.insight.waits"

-- Random numbers of a seed, which do not depend on what else uses math.random().
local function generator(seed)
  local state = seed
  return function(a, b)
    state = (state * 6364136223846793005 + 1442695040888963407) & 0x7fffffffffffffff
    local low = b and a or 1
    return low + (state >> 24) % ((b or a) - low + 1)
  end
end

local function contains(list, value)
  for _, each in ipairs(list) do
    if each == value then return true end
  end
  return false
end

-- The circles as those see them who are shown few of many jobs.
local function circles_of_some()
  local records = Look.take_some("age", 1).records
  return graph.circles(records, graph.stuck(records))
end

-- What is wrong with the circles of a program, or nil.
local function problem_of(nodes, circles)
  local by_job, stuck, in_circles = {}, waits.stuck(nodes), {}
  for _, node in ipairs(nodes) do by_job[node.job] = node end
  for _, circle in ipairs(circles) do
    for i, record in ipairs(circle) do
      local node, following = by_job[record.job], by_job[circle[i % #circle + 1].job]
      if not node or not stuck[node] then return "a job in a circle can go on" end
      if not contains(node.holders, following) then return "a wait in a circle is invented" end
      in_circles[node] = true
    end
  end
  for node in pairs(stuck) do
    if not waits.leads_to(node, stuck, in_circles) then
      return ("job %d of the program is stuck and leads to no circle"):format(node.number)
    end
  end
end

-- Adds to `counts` how often each kind of wait was part of a circle.
local function check(seed, counts)
  helper.virtual(function()
    local nodes, finish = waits.play(generator(seed))
    local problem = problem_of(nodes, insight.cycles()) or problem_of(nodes, circles_of_some())
    for _, circle in ipairs(insight.cycles()) do
      for _, record in ipairs(circle) do
        local kind = record.hold and record.hold.reason or record.kind
        counts[kind] = (counts[kind] or 0) + 1
      end
    end
    finish()
    assert.is_nil(problem, ("seed %d: %s"):format(seed, problem))
  end)
end

describe("The circles of random programs", function()
  it("are all found, and none is invented #I4", function()
    local counts = {}
    for seed = 1, 1000 do check(seed, counts) end
    for _, kind in ipairs { "mutex", "permit", "job", "slot", "key", "idle", "event" } do
      assert.is_true((counts[kind] or 0) > 0, "no circle had a wait of the kind " .. kind)
    end
  end)
end)
