-- The protocol of processes that share a store, by its model: no step breaks a promise; and for
-- each rule the same model without it, in which the search must find what goes wrong then.
-- `script/verify protocol` goes through the states one by one.

local search = require "spec.durable.protocol.search"

local WALKS <const>, LENGTH <const> = 1000, 150

-- The promise that is broken without a rule, and what the search is given to find it soon.
local MISTAKES <const> = {
  { "ignores_keys", "D5", { keyed = true, ready = 1 } },
  { "retries_beside", "D5", { keyed = true, ready = 1, is_dead = true } },
  { "is_sure", "D6" }, -- a claim whose answer was lost took nothing
  { "has_no_fence", "D16" }, -- whoever says so has ended a task
  { "renews_late", "D7" }, -- a lease begins when the answer has come
  { "leaves_early", "D7", { tasks = 1, faults = 0, is_exhaustive = true } }, -- before its jobs end
  { "expires_early", "D7", { tasks = 1, faults = 0, is_exhaustive = true } }, -- by another clock
  { "claims_dead", "D8" }, -- a process that is buried takes tasks
  { "leaves_tasks", "D8" }, -- a process that leaves does not give back
  { "forgets_crashes", "D8" },
  { "begins_lost", "D9" }, -- a process begins tasks for a number that it has given up
  { "fences_late", "D9" }, -- jobs are told to end when the lease is over
  { "counts_releases", "D12" },
  { "begins_closing", "D12" },
  { "forgets_cancelling", "D16" },
}

local function given_of(one)
  local given = { tasks = 2, faults = 4, mistakes = { [one[1]] = true } }
  for name, value in pairs(one[3] or {}) do given[name] = value end
  return given
end

describe("the protocol of durable jobs", function()
  for _, keyed in ipairs { false, true } do
    it(("keeps its promises%s #D5 #D6 #D7 #D8 #D9 #D12"):format(keyed and ", with keys" or ""),
      function()
        local problem, steps = search.walk({
          tasks = 2, faults = 4, mistakes = {}, keyed = keyed, ready = keyed and 1 or 2,
        }, WALKS, LENGTH)
        assert.is_nil(problem, ("%s\n%s"):format(problem, steps))
      end)
  end

  for _, one in ipairs(MISTAKES) do
    it(("does not without a rule: %s #%s"):format(one[1], one[2]), function()
      local given = given_of(one)
      local problem
      if given.is_exhaustive then
        problem = select(2, search.run(given))
      else
        problem = search.walk(given, WALKS, LENGTH)
      end
      assert.equal(one[2], (problem or "nothing"):match "^%w+")
    end)
  end
end)
