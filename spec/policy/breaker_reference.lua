--- A reference of the promise P10: it keeps a list of all calls that have ended, and goes over
--- it each time. The times are any numbers.

local reference = {}
reference.__index = reference

function reference.new(rules)
  return setmetatable({
    rules = rules, state = "closed", ended = {}, under_way = 0, period = 0, good = 0,
  }, reference)
end

function reference:become(state, now)
  self.state, self.ended, self.good, self.period = state, {}, 0, self.period + 1
  if state == "open" then self.reopens = now + self.rules.open end
end

function reference:enter(now)
  if self.state == "open" and now >= self.reopens then self:become("half_open") end
  if self.state == "closed" then return true end
  if self.state == "open" then return nil, self.reopens - now end
  if self.under_way == self.rules.probes then return nil end
  self.under_way = self.under_way + 1
  return self.period
end

function reference:finish(pass, failure, now)
  if pass ~= true then self.under_way = self.under_way - 1 end
  if failure == nil then return end
  if pass == true and self.state == "closed" then
    table.insert(self.ended, { at = now, failure = failure })
    local count, failed = 0, 0
    for _, call in ipairs(self.ended) do
      if now - call.at < self.rules.window then
        count, failed = count + 1, failed + call.failure
      end
    end
    if count >= self.rules.minimum and failed / count >= self.rules.ratio then
      self:become("open", now)
    end
  elseif self.state == "half_open" and pass == self.period then
    if failure == 1 then
      self:become("open", now)
    else
      self.good = self.good + 1
      if self.good == self.rules.probes then self:become("closed") end
    end
  end
end

return reference
