--- The rules of supervision once more, in the plainest way: a simulation in which each event is
--- followed by looking at the whole of a supervisor and doing what is to be done next. It shares no
--- code with uvjobs.supervisor. See spec/supervisor/trees.lua for what a tree looks like.

local Reference = {}
Reference.__index = Reference

function Reference.new()
  return setmetatable({ now = 0, events = {}, seq = 0, log = {} }, Reference)
end

function Reference:at(time, fn)
  local events, i = self.events, #self.events
  while i > 0 and events[i].time <= time do i = i - 1 end -- the next one is the last
  table.insert(events, i + 1, { time = time, fn = fn })
end

function Reference:run(limit)
  while #self.events > 0 and self.events[#self.events].time <= limit do
    local event = table.remove(self.events)
    self.now = event.time
    event.fn()
  end
end

function Reference:note(what, node)
  self.log[#self.log + 1] = { time = self.now, what = what, name = node.name }
end

local function is_alive(node)
  return node.state ~= "idle" and node.state ~= "line"
end

local function is_asked(node)
  return node.want ~= nil
end

-- Calls `fn` at that time if the run, or the pause, that goes on now does so then.
function Reference:in_run(node, time, fn)
  local stretch = node.stretch
  self:at(time, function()
    if node.stretch == stretch and is_alive(node) then fn() end
  end)
end

function Reference:up(node)
  node.state, node.since = "up", self.now
  if node.sup then self:step(node.sup) end
end

function Reference:begin(node)
  node.run, node.stretch = node.run + 1, node.stretch + 1
  if node.children then
    node.state, node.ending, node.failure, node.round, node.due = "starting", false, nil, nil, nil
    node.times, node.stopped, node.pauses = {}, 0, 0
    for _, child in ipairs(node.children) do
      child.streak = 0
      if not child.held and not child.gone then child.state = "line" end
    end
    return self:step(node)
  end
  self:note("start", node)
  node.act = node.script[math.min(node.run, #node.script)]
  if node.ready then
    node.state = "starting"
    self:in_run(node, self.now + node.act.ready, function()
      if node.state == "starting" then self:up(node) end
    end)
  else
    node.state, node.since = "up", self.now
  end
  if node.act.how ~= "hang" then
    local life = node.act.life + (node.act.how == "busy" and node.busy_limit or 0)
    self:in_run(node, self.now + (node.ready and node.act.ready or 0) + life, function()
      if node.state ~= "closing" then self:ended(node, node.act.how) end
    end)
  end
end

function Reference:launch(node, pause)
  if pause <= 0 then return self:begin(node) end
  node.state, node.next = "pause", self.now + pause
  node.stretch = node.stretch + 1
  self:in_run(node, self.now + pause, function()
    self:begin(node)
    self:step(node.sup)
  end)
end

-- The clock of the intensity stands still while a child is waited for.
function Reference:pause_clock(sup, change)
  if sup.pauses == 0 then sup.paused_at = self.now end
  sup.pauses = sup.pauses + change
  if sup.pauses == 0 then sup.stopped = sup.stopped + self.now - sup.paused_at end
end

function Reference:close(node, want)
  if node.by_name == nil and want ~= "round" and want ~= "end" then
    node.by_name = true
    self:pause_clock(node.sup, 1)
  end
  if node.state == "closing" then
    if node.want ~= "delete" and want ~= "round" then node.want = want end
    return
  end
  node.want = want
  if node.state == "pause" then
    if node.sup.holder == node and want ~= "round" then node.sup.due = node.next end
    return self:ended(node, "cancel", true)
  end
  node.state = "closing"
  if node.children then
    node.ending = true
    return self:step(node)
  end
  self:in_run(node, self.now + math.min(node.act.close, node.close_timeout),
    function() self:ended(node, "cancel") end)
end

function Reference:ended(node, how, silent)
  local sup, want, was_up = node.sup, node.want, node.state == "up"
  if not silent and not node.children then self:note("end", node) end
  node.state, node.want = "idle", nil
  if not sup then return end
  if node.by_name then
    node.by_name = nil
    self:pause_clock(sup, -1)
  end
  local temporary = node.restart == "temporary"
  if sup.ending then
    node.held = want == "stop" or node.held
    node.gone = want == "delete" or node.gone or temporary or want == "stop" and not node.since
  elseif want == "stop" then -- one whose start() waits still has not happened
    node.held, node.gone = true, temporary or not node.since
  elseif want == "delete" or want == "round" and temporary then
    node.gone = true
  elseif want == "start" then
    self:start_again(node)
  elseif want == nil then
    self:crashed(node, how, was_up)
  end
  self:step(sup)
end

function Reference:start_again(node)
  node.streak, node.held = 0, false
  if node.sup.round then
    node.state = "line"
  else
    self:launch(node, 0)
  end
end

function Reference:crashed(node, how, was_up)
  local sup = node.sup
  if node.restart == "temporary" then
    node.gone = true
    return
  elseif node.restart == "transient" and how == "return" then
    node.done = true
    return
  elseif sup.round and node.place >= sup.round then
    return
  end
  if was_up and self.now - node.since >= node.reset_after then node.streak = 0 end
  node.streak = (node.streak or 0) + 1
  local pause = math.min(node.base * 2 ^ (node.streak - 1), 30)
  local clock = (sup.pauses > 0 and sup.paused_at or self.now) - sup.stopped
  local count = 1
  for _, time in ipairs(sup.times) do
    if time >= clock - sup.period then count = count + 1 end
  end
  table.insert(sup.times, clock)
  if count > sup.intensity then
    sup.ending, sup.failure = true, true
  elseif sup.strategy == "one_for_one" then
    self:launch(node, pause)
  else
    local from = sup.strategy == "one_for_all" and 1 or node.place
    if not sup.round then self:pause_clock(sup, 1) end
    sup.round = math.min(sup.round or from, from)
    sup.due = math.max(sup.due or 0, self.now + pause)
  end
end

-- Whether all children from this place on have ended; closes the last one that has not.
function Reference:all_closed(sup, from, want)
  for place = #sup.children, from, -1 do
    local child = sup.children[place]
    if is_alive(child) then
      if not is_asked(child) then self:close(child, want) end
      return false
    end
  end
  return true
end

-- Does what is to be done next, as often as there is something.
function Reference:step(sup)
  if sup.stepping then
    sup.again = true
    return
  end
  sup.stepping = true
  repeat
    sup.again = false
    self:step_once(sup)
  until not sup.again
  sup.stepping = false
  if sup.is_over then
    sup.is_over = false
    self:ended(sup, sup.failure and "crash" or "return")
  end
end

function Reference:step_once(sup)
  if sup.state == "idle" then return end
  if sup.ending then
    sup.is_over = self:all_closed(sup, 1, "end")
    return
  elseif sup.round then
    if not self:all_closed(sup, sup.round, "round") then return end
    for place = sup.round, #sup.children do
      local child = sup.children[place]
      if not child.held and not child.gone then child.state = "line" end
    end
    sup.round = nil
    self:pause_clock(sup, -1)
    sup.holder = nil
  end
  local holder = sup.holder
  if holder and is_alive(holder) and holder.state ~= "up" then return end
  sup.holder = nil
  for _, child in ipairs(sup.children) do
    if child.state == "line" then
      sup.holder = child
      local pause = sup.due and sup.due - self.now or 0
      sup.due = nil
      sup.again = true
      return self:launch(child, pause)
    end
  end
  sup.due = nil
  if sup.state == "starting" then self:up(sup) end
end

return Reference
