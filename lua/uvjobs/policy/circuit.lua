-- The states of a breaker, without a clock, a job or a function that is called: `now` is an
-- integer in nanoseconds.
--
--           too many failed              `open` passed
--   closed -----------------> open -----------------------> half_open
--     ^                        ^                             |     |
--     |                        +-----------------------------+     |
--     |                           a probe failed                   |
--     +------------------------------------------------------------+
--                          `probes` succeeded
--
-- A call that is let in gets a pass: `true` in the state closed; as a probe the number of
-- the half-open period. What a probe of an earlier period says is not heard, but as long
-- as it is under way it counts for the bound: the other side never has more than `probes`
-- of them at once, however long they take.

local core = require "uvjobs.core"

core.own_source()

local circuit = {}

local add = core.window_add

--- Makes one that is closed.
---@param rules { ratio: number, window: integer, minimum: integer, open: integer,
---  probes: integer } `window` and `open` are in nanoseconds
---@param on_change? fun(self: table, state: string, before: string)
---@param is_guarded? boolean whether calls are counted by a guard while it is closed
function circuit.new(rules, on_change, is_guarded)
  local window = core.window(rules.window, rules.minimum, rules.ratio)
  core.window_set(window, is_guarded, false)
  return {
    state = "closed", rules = rules, on_change = on_change,
    window = window, is_guarded = is_guarded,
    period = 0,      -- changes with the state
    reopens = nil,   -- when it is half open; math.maxinteger: only by hand
    probing = 0,     -- probes that are under way, of this period and of earlier ones
    succeeded = 0,   -- probes of this period
  }
end

local function change(self, state)
  local before = self.state
  self.state, self.period, self.succeeded = state, self.period + 1, 0
  core.window_set(self.window, self.is_guarded and state == "closed", true)
  if before ~= state and self.on_change then self.on_change(self, state, before) end
end

--- Opens it until `reopens`.
function circuit.open(self, reopens)
  self.reopens = reopens
  change(self, "open")
end

--- Closes it, and forgets what was counted.
function circuit.close(self)
  change(self, "closed")
end

--- Forgets everything, for another clock. No call is under way.
function circuit.reset(self)
  self.state, self.period, self.probing, self.succeeded = "closed", self.period + 1, 0, 0
  core.window_set(self.window, self.is_guarded, false)
end

--- The state that a call would find now.
function circuit.state_at(self, now)
  if self.state == "open" and now >= self.reopens then return "half_open" end
  return self.state
end

--- Called when a call begins.
---@return true|integer|nil pass nil when it is refused
---@return integer? wait nanoseconds until it is half open, where that is known
function circuit.enter(self, now)
  if self.state == "closed" then return true end
  if self.state == "open" then
    if self.reopens == math.maxinteger then return nil end
    if now < self.reopens then return nil, self.reopens - now end
    change(self, "half_open")
  end
  if self.probing >= self.rules.probes then return nil end
  self.probing = self.probing + 1
  return self.period
end

local function finish_probe(self, failure, now)
  if failure == 1 then
    circuit.open(self, now + self.rules.open)
    return
  end
  self.succeeded = self.succeeded + 1
  if self.succeeded >= self.rules.probes then circuit.close(self) end
end

--- A call has ended that was let in with this pass, and that no guard has counted.
---@param failure 0|1|nil nil for one that was cancelled, which says nothing
function circuit.finish(self, pass, failure, now)
  if pass == true then
    if failure and self.state == "closed" and add(self.window, now, failure) then
      circuit.open(self, now + self.rules.open)
    end
    return
  end
  self.probing = self.probing - 1
  if failure and self.state == "half_open" and pass == self.period then
    finish_probe(self, failure, now)
  end
end

return circuit
