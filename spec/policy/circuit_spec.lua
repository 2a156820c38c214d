-- The states of a breaker, and the window in which it counts, against references that keep
-- a list of all that has ended.

local circuit = require "uvjobs.policy.circuit"
local core = require "uvjobs.core"
local reference = require "spec.policy.breaker_reference"

-- ---- all sequences of events ---------------------------------------------------------

-- Calls that are under way: pairs of a pass of the circuit and one of the reference.
local EVENTS <const> = {
  "call", "fails", "succeeds", "cancelled", "oldest fails", "oldest succeeds", "a second",
  "three seconds",
}

local function world(rules)
  return {
    circuit = circuit.new(rules), reference = reference.new(rules), now = 0, calls = {},
    trace = {},
  }
end

local function finish(at, index, failure)
  local call = table.remove(at.calls, index)
  if not call then return false end
  circuit.finish(at.circuit, call[1], failure, at.now)
  at.reference:finish(call[2], failure, at.now)
  return true
end

local function enter(at, most)
  if #at.calls >= most then return false end
  local pass, wait = circuit.enter(at.circuit, at.now)
  local expected, expected_wait = at.reference:enter(at.now)
  assert(expected == pass and expected_wait == wait, table.concat(at.trace, ", "))
  if pass then at.calls[#at.calls + 1] = { pass, expected } end
  return true
end

-- Does the event; returns whether it changes anything.
local function happen(at, event, most)
  at.trace[#at.trace + 1] = event
  if event == "call" then return enter(at, most) end
  if event == "fails" then return finish(at, #at.calls, 1) end
  if event == "succeeds" then return finish(at, #at.calls, 0) end
  if event == "cancelled" then return finish(at, #at.calls, nil) end
  if event == "oldest fails" then return #at.calls > 1 and finish(at, 1, 1) end
  if event == "oldest succeeds" then return #at.calls > 1 and finish(at, 1, 0) end
  at.now = at.now + (event == "a second" and 1 or 3)
  return true
end

local function check(at)
  local state, expected = circuit.state_at(at.circuit, at.now), at.reference.state
  if expected == "open" and at.now >= at.reference.reopens then expected = "half_open" end
  if state ~= expected or at.circuit.probing ~= at.reference.under_way
    or at.circuit.probing > at.circuit.rules.probes then
    error(("%s, but %s was expected, after: %s"):format(state, expected,
      table.concat(at.trace, ", ")), 0)
  end
end

-- What the rest of a run depends on, as a text: times are those since now, and periods
-- those since the present one.
local function state_of(at)
  local parts, one, two = {}, at.circuit, at.reference
  local function add(...)
    for _, value in ipairs { ... } do parts[#parts + 1] = tostring(value) end
  end
  add(one.state, one.probing, one.succeeded, two.state, two.under_way, two.good)
  if one.state == "open" then add(one.reopens - at.now, two.reopens - at.now) end
  local _, _, seen = core.window_runs(one.window)
  for i = 1, #seen, 3 do
    if at.now - seen[i] < one.rules.window then add(at.now - seen[i], seen[i + 1], seen[i + 2]) end
  end
  add "|"
  for _, call in ipairs(two.ended) do
    if at.now - call.at < two.rules.window then add(at.now - call.at, call.failure) end
  end
  for _, call in ipairs(at.calls) do
    add(call[1] == true or one.period - call[1], call[2] == true or two.period - call[2])
  end
  return table.concat(parts, " ")
end

-- A new world in which these events have happened.
local function replay(rules, trace, most)
  local at = world(rules)
  for _, event in ipairs(trace) do happen(at, event, most) end
  return at
end

-- Plays all sequences of so many events. Of sequences that lead to the same state only one
-- is played on, since what follows is the same for all. Returns the number of states.
local function play_all(rules, depth, most)
  local traces, seen, states = { {} }, {}, 0
  for _ = 1, depth do
    local longer = {}
    for _, trace in ipairs(traces) do
      for _, event in ipairs(EVENTS) do
        local at = replay(rules, trace, most)
        if happen(at, event, most) then
          check(at)
          local key = state_of(at)
          if not seen[key] then
            seen[key], states = true, states + 1
            longer[#longer + 1] = at.trace
          end
        end
      end
    end
    traces = longer
  end
  return states
end

describe("the states of a breaker", function()
  it("are those of the promise after every sequence of twelve events #P10 #P11", function()
    for _, case in ipairs {
      { { ratio = 0.5, window = 3, minimum = 2, open = 2, probes = 1 }, 3 },
      { { ratio = 1, window = 2, minimum = 1, open = 3, probes = 2 }, 4 },
    } do
      assert.is_true(play_all(case[1], 12, case[2]) > 500)
    end
  end)

  it("are those of the promise after long random sequences #P10", function()
    local random = 12345
    local function choose(n)
      random = (random * 6364136223846793005 + 1442695040888963407)
      return (random >> 33) % n + 1
    end
    for round = 1, 30 do
      local rules = {
        ratio = choose(10) / 10, window = choose(20), minimum = choose(6), open = choose(9),
        probes = choose(4),
      }
      local at = world(rules)
      for _ = 1, 1000 do
        happen(at, EVENTS[choose(#EVENTS)], 8)
        at.trace = { "round " .. round }
        check(at)
      end
    end
  end)
end)

-- ---- the window ----------------------------------------------------------------------

-- Adds calls at these times, and returns the window and a list of them.
local function fill(length, times)
  local seen, list = core.window(length, 1, 1), {}
  for i, now in ipairs(times) do
    local failure = i % 3 == 0 and 1 or 0
    core.window_add(seen, now, failure)
    list[#list + 1] = { at = now, failure = failure }
  end
  return seen, list
end

local function counts(seen)
  local total, failed = core.window_runs(seen)
  return total, failed
end

local function count(list, after)
  local total, failed = 0, 0
  for _, call in ipairs(list) do
    if call.at > after then total, failed = total + 1, failed + call.failure end
  end
  return total, failed
end

describe("the window of a breaker", function()
  it("is exact for up to a thousand calls, and when they end in the same moment", function()
    for _, step in ipairs { 0, 1, 7 } do
      local times = {}
      for i = 1, 5000 do times[i] = i // 2 * step end
      for n = 1, 5000, 499 do
        local some = table.move(times, 1, n, 1, {})
        local seen, list = fill(1000, some)
        assert.same({ count(list, some[n] - 1000) }, { counts(seen) })
      end
    end
  end)

  it("says whether there are enough calls of which enough have failed", function()
    local seen = core.window(10, 3, 0.5)
    assert.is_false(core.window_add(seen, 1, 1))
    assert.is_false(core.window_add(seen, 1, 1))
    assert.is_true(core.window_add(seen, 2, 0)) -- 2 of 3
    assert.is_true(core.window_add(seen, 2, 0)) -- 2 of 4
    assert.is_false(core.window_add(seen, 2, 0))
    assert.is_false(core.window_add(seen, 11, 1)) -- 1 of 4
    core.window_set(seen, true, true)
    assert.is_false(core.window_add(seen, 11, 1))
  end)

  it("never counts what is older, and misses a 512th of the time at most", function()
    local times = {}
    for i = 1, 100000 do times[i] = i * 10 end
    local length = 100000 -- ten thousand calls
    local seen, list = fill(length, times)
    local now = times[#times]
    local all, most_failed = count(list, now - length)
    local least = count(list, now - length + length // 512 + 10)
    local total, failed, ended = core.window_runs(seen)
    assert.is_true(total <= all and total >= least, total)
    assert.is_true(failed <= most_failed)
    assert.is_true(#ended / 3 <= 1024)
  end)

  it("is exact again when few calls are left in it", function()
    local times = {}
    for i = 1, 3000 do times[i] = i end
    times[3001], times[3002], times[3003] = 1000000, 1000001, 1000002
    local seen = fill(10000, times)
    assert.equal(3, (core.window_runs(seen)))
    assert.same({ 1000000, 1, 0, 1000001, 1, 0, 1000002, 1, 1 },
      (select(3, core.window_runs(seen))))
  end)
end)
