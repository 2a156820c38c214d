-- The statements about queues, semaphores, mutexes, events, and what else waits.

local uvjobs = require "uvjobs"

return function(World, exec)
  local closer = World.closer

  function exec.sleep(self, env, s)
    local began = self.now
    self:call(env, { what = "sleep", always = true, limit = s.t }, uvjobs.sleep, s.t)
    self:check(self.sliced or math.abs(self.now - began - s.t) < 1e-7, "sleep: not in time")
  end

  function exec.yield(self, env)
    self:call(env, { what = "yield", always = true, limit = 0 }, uvjobs.yield)
  end

  function exec.collect(self, env)
    self:event(env.record, "collectgarbage")
    collectgarbage()
  end

  function exec.context(self, env)
    local record = env.record
    self:check(uvjobs.context.key == record.context, "another context")
    record.context = self.seq
    uvjobs.context.key = self.seq
  end

  -- ---- queues --------------------------------------------------------------------

  local function new_item(self)
    self.items = self.items + 1
    return { number = self.items }
  end

  local function was_put(known, item, seq)
    table.insert(known.puts, { seq = seq, item = item })
  end

  local function was_got(self, known, item, seq, why)
    if item == nil then
      return self:check(why == "closed" or why == "timeout" or why == "empty",
        "get returned something else")
    end
    table.insert(known.gets, { seq = seq, item = item })
  end

  function exec.put(self, env, s)
    local known, item = self.queues[s.on], new_item(self)
    local seq
    local ok, why = self:call(env, {
      what = "put", thing = known, line = "put", waits = "put", limit = s.t,
    }, function(...)
      seq = self.seq
      return known.thing:put(...)
    end, item, s.t)
    self:check(ok or why == "timeout" or why == "closed", "put returned something else")
    self:check(why ~= "closed" or known.thing.closed, "put: it is not closed")
    if ok then was_put(known, item, seq) end
  end

  function exec.get(self, env, s)
    local known = self.queues[s.on]
    local seq
    local item, why = self:call(env, {
      what = "get", thing = known, line = "get", waits = "get", limit = s.t,
    }, function(t)
      seq = self.seq
      return known.thing:get(t)
    end, s.t)
    was_got(self, known, item, seq, why)
  end

  function exec.try_put(self, env, s)
    local known, item = self.queues[s.on], new_item(self)
    self:event(env.record, "try_put")
    local ok, why = known.thing:try_put(item)
    self:check(ok or why == "full" or why == "closed", "try_put returned something else")
    if ok then was_put(known, item, self.seq) end
  end

  function exec.try_get(self, env, s)
    local known = self.queues[s.on]
    self:event(env.record, "try_get")
    local n = #known.thing
    local item, why = known.thing:try_get()
    self:check(n == 0 or item ~= nil, "try_get: there are items")
    was_got(self, known, item, self.seq, why)
  end

  function exec.items(self, env, s)
    local known = self.queues[s.on]
    local next_item = known.thing:items()
    for _ = 1, s.n do
      local seq
      local item = self:call(env, { what = "next", thing = known, line = "get", waits = "get" },
        function()
          seq = self.seq
          local item = next_item()
          return item, item == nil and "closed" or nil
        end)
      if item == nil then break end
      was_got(self, known, item, seq)
    end
  end

  function exec.close_queue(self, env, s)
    self:event(env.record, "close queue")
    self.queues[s.on].thing:close()
  end

  -- ---- events ---------------------------------------------------------------------

  function exec.event_wait(self, env, s)
    local known = self.events[s.on]
    local ok = self:call(env, { what = "event", thing = known, waits = "event", limit = s.t },
      known.thing.wait, known.thing, s.t)
    self:check(ok == true or ok == nil, "event:wait returned something else")
  end

  function exec.event_set(self, env, s)
    local known = self.events[s.on]
    self:event(env.record, "set " .. s.on)
    known.thing:set()
    for _, record in ipairs(self.live) do
      local op = record.op
      if op and op.spec.waits == "event" and op.spec.thing == known then op.set = true end
      if op and op.spec.waits == "select" then op.spec.set[known] = true end
    end
  end

  function exec.event_clear(self, env, s)
    self:event(env.record, "clear " .. s.on)
    self.events[s.on].thing:clear()
  end

  -- ---- select ----------------------------------------------------------------------

  -- The sources that there are now: the job may be the one that runs.
  local function find_sources(self, env, s)
    local sources, things = {}, { timeout = s.t }
    for _, source in ipairs(s.sources) do
      local known = source.kind == "queue" and self.queues[source.on]
        or source.kind == "event" and self.events[source.on]
        or source.kind == "job" and self:job_of(env, { job = source.on })
      if known then
        sources[#sources + 1] = { kind = source.kind, known = known }
        things[#things + 1] = known.thing or known.job
      end
    end
    return sources, things
  end

  -- The sources before the one that is returned are not ready. An event that was set while it
  -- was watched counts, even if it is clear by now.
  local function check_selected(self, spec, i, value, why)
    local source = spec.sources[i]
    for before = 1, i - 1 do
      self:check(not self:is_ready(spec.sources[before]), "select: source %d is ready", before)
    end
    if source.kind == "queue" and value == nil then
      self:check(why == "closed" and source.known.thing.closed, "select: no value of a queue")
    elseif source.kind ~= "queue" then
      self:check(value == true and (self:is_ready(source) or spec.set[source.known]),
        "select: source %d is not ready", i)
    end
  end

  local function index_of(things, thing)
    for i, other in ipairs(things) do
      if rawequal(other, thing) then return i end
    end
  end

  function exec.select(self, env, s)
    local sources, things = find_sources(self, env, s)
    if #sources == 0 then return end
    local spec = { what = "select", waits = "select", limit = s.t, sources = sources, set = {} }
    local seq
    local thing, value, why = self:call(env, spec, function()
      local thing, value, why = uvjobs.select(things)
      seq = self.seq + 0.5 -- the value has been taken now, and not when the call began
      return thing, value, why
    end)
    if thing == nil then
      return self:check(value == "timeout", "select returned something else")
    end
    local i = index_of(things, thing)
    self:check(i, "select: not one of the sources")
    if not i then return end
    local source = sources[i]
    check_selected(self, spec, i, value, why)
    if source.kind == "queue" then was_got(self, source.known, value, seq, why) end
  end

  -- ---- semaphores and mutexes -------------------------------------------------------

  -- Makes a call that takes a permit or a lock, and returns what it has returned first.
  local function take(self, env, spec, fn, ...)
    local first, why = self:call(env, spec, fn, ...)
    self:check(first or why == "timeout", "%s returned something else", spec.what)
    return first
  end

  -- Returns a value that holds a permit until it is closed.
  local function holds(self, known, give_back)
    known.held = known.held + 1
    self:check(known.held <= known.total, "semaphore %d: too many permits", known.id)
    return closer(function()
      known.held = known.held - 1
      if give_back then known.thing:release() end
    end)
  end

  local function owns(self, env, known, give_back)
    local owner = known.owner
    self:check(owner == nil or owner.is_over, "mutex %d has two owners", known.id)
    known.owner = env.record
    return closer(function()
      self:check(known.owner == env.record, "mutex %d: another owner", known.id)
      known.owner = nil
      if give_back then known.thing:unlock() end
    end)
  end

  -- Calls thing:with(fn). Its wait ends when fn is called.
  local function with(self, env, spec, inside)
    local known = spec.thing
    local op <close> = setmetatable(self:begin(env, spec), { __close = function(op, err)
      if not op.finished then self:finish(op, false, err) end
    end})
    known.thing:with(function()
      self:finish(op, true, true)
      inside()
    end)
  end

  local function try(self, env, known, name)
    self:event(env.record, name)
    local ok = known.thing[name](known.thing)
    return ok
  end

  function exec.semaphore(self, env, s)
    local known = self.semaphores[s.on]
    local thing = known.thing
    local spec = { what = s.mode, thing = known, line = "acquire", waits = "acquire", limit = s.t }
    local function inside(give_back)
      local _ <close> = holds(self, known, give_back)
      self:exec(env, s.body)
    end
    if s.mode == "with" then
      spec.limit = nil
      return with(self, env, spec, inside)
    elseif s.mode == "permit" then
      local permit <close> = take(self, env, spec, thing.permit, thing, s.t)
      if permit then inside() end
    elseif s.mode == "acquire" then
      if take(self, env, spec, thing.acquire, thing, s.t) then inside(true) end
    elseif try(self, env, known, "try_acquire") then
      inside(true)
    end
  end

  function exec.mutex(self, env, s)
    local known = self.mutexes[s.on]
    local thing, record = known.thing, env.record
    if known.owner == record then
      return self:check(not thing:try_lock(), "a mutex was locked twice")
    end
    local spec = { what = s.mode, thing = known, line = "lock", waits = "lock", limit = s.t }
    local function inside(give_back)
      local _ <close> = owns(self, env, known, give_back)
      self:exec(env, s.body)
    end
    if s.mode == "with" then
      spec.limit = nil
      return with(self, env, spec, inside)
    elseif s.mode == "permit" then
      local permit <close> = take(self, env, spec, thing.permit, thing, s.t)
      if permit then inside() end
    elseif s.mode == "lock" then
      if take(self, env, spec, thing.lock, thing, s.t) then inside(true) end
    elseif s.mode == "leak" then
      if not take(self, env, spec, thing.lock, thing, s.t) then return end
      owns(self, env, known)
      record.leaks = true
    elseif try(self, env, known, "try_lock") then
      inside(true)
    end
  end

  function exec.call(_, _, s) s.fn() end

  -- ---- await -----------------------------------------------------------------------

  function exec.await(self, env, s)
    local abandoned, resume_now = 0, nil
    local function start(resume)
      if s.mode == "now" then resume("now") end
      if s.mode == "later" then resume_now = resume end
      return s.abandon and function() abandoned = abandoned + 1 end or nil
    end
    if s.mode == "later" then
      self:helper(env, { { kind = "sleep", t = s.after }, { kind = "call", fn = function()
        if resume_now then resume_now("later"); resume_now("twice") end
      end } })
    end
    local due = self.now + s.t
    local ok, got = pcall(uvjobs.timeout, s.t, function()
      table.insert(env.scopes, { due = env.record.killing and math.huge or due })
      local _ <close> = closer(function() table.remove(env.scopes) end)
      return self:call(env, { what = "await" }, uvjobs.await, start)
    end)
    self:check(abandoned <= ((ok or not s.abandon) and 0 or 1), "abandoned, or not?")
    if not ok then error(got, 0) end
    self:check(got == s.mode, "await: another value")
  end
end
