-- The statements about policies (retry, limit, rate, breaker, single, debounce, hedge), and
-- supervisors.

local policy = require "uvjobs.policy"
local uvjobs = require "uvjobs"

return function(World, exec)
  local body, closer, family = World.body, World.closer, World.family

  -- Whether an error ends the job of the record, so that no policy may catch it (P2).
  local function ends(record, err)
    local code = uvjobs.code(err)
    return (code == "cancelled" or code == "killed") and err.job == record.job
  end

  -- Calls `fn` and returns what it returns. Notes whether it raises what ends its job.
  local function attempt(self, env, state, list)
    self:event(env.record, "attempt")
    self:check(not state.ended, "an attempt after the job was cancelled")
    state.attempts = state.attempts + 1
    local ok, err = pcall(self.exec, self, env, list)
    if ok then return true end
    state.ended = ends(env.record, err)
    error(err, 0)
  end

  function exec.retry(self, env, s)
    local state = { attempts = 0 }
    self:event(env.record, "retry {")
    local ok, err = pcall(uvjobs.retry, { attempts = s.n, backoff = s.t }, attempt, self, env,
      state, s.body)
    self:check(state.attempts <= s.n, "retry: %d attempts", state.attempts)
    if not ok then error(err, 0) end
  end

  -- Makes a call of a policy that waits until it may call the function. Its wait ends when the
  -- function is called.
  local function enter(self, env, spec, inside)
    local known = spec.thing
    local op <close> = setmetatable(self:begin(env, spec), { __close = function(op, err)
      if not op.finished then self:finish(op, false, err) end
    end})
    known.thing:call(function()
      self:finish(op, true, true)
      inside()
    end)
  end

  function exec.limit(self, env, s)
    local known = self.limits[s.on]
    local most_wait = self.program.policies.limits[s.on].most_wait
    local spec = { what = "limit", thing = known, line = "limit", waits = "limit",
      refusal = "full", limit = most_wait < math.huge and most_wait or nil }
    enter(self, env, spec, function()
      known.running = known.running + 1
      self:check(known.running <= known.limit, "limit %d: too many run", known.id)
      local _ <close> = closer(function() known.running = known.running - 1 end)
      self:exec(env, s.body)
    end)
  end

  function exec.rate(self, env, s)
    local known = self.rates[s.on]
    local spec = { what = "rate", thing = known, line = "rate", refusal = "limited" }
    local began, entered = self.now, false
    local _ <close> = closer(function(err)
      self:check(entered or uvjobs.code(err) ~= "limited" or self.now == began or self.sliced,
        "rate: refused late")
    end)
    enter(self, env, spec, function()
      entered = true
      table.insert(known.starts, self.now)
      self:exec(env, s.body)
    end)
  end

  function exec.breaker(self, env, s)
    local known = self.breakers[s.on]
    local record, entered = env.record, false
    self:event(record, "breaker {")
    local ok, err = pcall(known.thing.call, known.thing, function()
      entered = true
      local probing = known.thing:stats().probing
      self:check(probing <= known.probes, "breaker %d: %d probes", known.id, probing)
      self:exec(env, s.body)
    end)
    if ok then return end
    self:check(entered or uvjobs.code(err) == "open" or ends(record, err)
      or uvjobs.code(err) == "timeout" or uvjobs.code(err) == "cancelled",
      "breaker %d: raised %s", known.id, err)
    error(err, 0)
  end

  -- A run for several callers, in a job of its own.
  local function run_of(self, made)
    local record = self:record("child", nil, uvjobs.context.key)
    record.maybe, record.unreported = true, true
    made[record.id] = record
    return record
  end

  -- Makes a call that gets the results or the error of one of the runs in `made`.
  local function share(self, env, spec, made, fn, ...)
    spec.grace, spec.passes_errors = env.record.job.scheduler.close_timeout, true
    local got = table.pack(pcall(self.call, self, env, spec, fn, ...))
    if got[1] then
      local record = made[got[2]]
      self:check(record and record.returned and record.token == got[3], "%s: other results",
        spec.what)
      return
    end
    for _, record in pairs(made) do
      if record.is_over and rawequal(record.error, got[2]) and not record.returned then
        record.delivered = record.delivered + 1
      end
    end
    error(got[2], 0)
  end

  function exec.single(self, env, s)
    local known = self.singles[s.on]
    if env.record.single_key == s.key then return end -- it would wait for itself
    known.made = known.made or {}
    share(self, env, { what = "single" }, known.made, known.thing.call, known.thing, s.key,
      function()
        self:check(not known.running[s.key], "single %d: two runs of a key", known.id)
        known.running[s.key] = true
        local _ <close> = closer(function() known.running[s.key] = nil end)
        local record = run_of(self, known.made)
        record.single_key = s.key
        return body(self, record, s.body)
      end)
  end

  function exec.debounce(self, env, s)
    local known = self.debounces[s.on]
    known.made, known.waiting = known.made or {}, known.waiting or {}
    local began, most, call = self.now, known.options.most, {}
    known.waiting[call] = began
    local _ <close> = closer(function() known.waiting[call] = nil end)
    share(self, env, { what = "debounce", always = true }, known.made, known.thing.call,
      known.thing, function()
        local due = began + known.options.wait
        for _, time in pairs(known.waiting) do due = math.min(due, time + most) end
        local now = uvjobs.now()
        self:check(self.sliced or now >= due - 1e-7, "debounce %d: it ran early", known.id)
        self:check(self.sliced or now <= began + most + 1e-7, "debounce %d: it ran late", known.id)
        return body(self, run_of(self, known.made), s.body)
      end)
  end

  function exec.hedge(self, env, s)
    local list, hedge = {}, policy.hedge { after = s.t, most = s.n }
    local id, token = family(self, env, { what = "hedge", always = true }, list, hedge.call, hedge,
      function()
        local record = self:record("child", nil, env.record.context)
        record.parent, record.timeout = env.record, uvjobs.remaining()
        record.maybe, record.unreported = true, true
        list[#list + 1] = record
        self:check(#list <= s.n, "hedge: %d attempts", #list)
        return body(self, record, s.body)
      end)
    local winner
    for _, record in ipairs(list) do
      if record.id == id then winner = record end
    end
    self:check(winner and winner.returned and winner.token == token, "hedge: other results")
  end

  -- ---- supervisors -------------------------------------------------------------------

  -- The function of a child. `group` is what is known of its supervisor.
  local function run_child(self, group, i, child)
    self:check(not group.live[i], "a child has two runs")
    -- one whose job was made before runs for the first time a turn later
    self:check(not group.closes or uvjobs.stats().turns <= group.closes + 1,
      "a child was started by a supervisor that closes")
    group.live[i] = true
    local record = self:record("child", nil, uvjobs.context.key)
    record.maybe, record.unreported, record.is_supervised = true, true, true
    local _ <close> = closer(function(err)
      group.live[i] = nil
      if not group.closes or not ends(record, err) then return end
      for later = i + 1, #group.children do
        self:check(not group.live[later], "a child was stopped before one that is behind it")
      end
    end)
    local list = table.move(child.body, 1, #child.body, 1, {})
    list[#list + 1] = { kind = "sleep", t = child.life }
    if child.crashes then list[#list + 1] = { kind = "fail", what = "table" } end
    return body(self, record, list)
  end

  local function start_children(self, env, s, group, service)
    for i, child in ipairs(s.children) do
      self:call(env, { what = "start", passes_errors = true }, service.start, service, {
        restart = child.restart, backoff = s.backoff, close_timeout = s.close_timeout,
        name = "c" .. i, function() return run_child(self, group, i, child) end,
      })
    end
  end

  -- Leaving the block stops the children, which takes no longer than their time limits.
  local function leave(self, env, s, group)
    group.closes = uvjobs.stats().turns
    local limit = #s.children * s.close_timeout
    group.op = self:begin(env, { what = "leave supervisor", limit = limit, grace = limit,
      passes_errors = true })
    group.op.refused = false -- leaving a block is not refused
  end

  function exec.supervisor(self, env, s)
    local group = { live = {}, children = s.children }
    local _ <close> = closer(function(err)
      if uvjobs.code(err) == "killed" and err.job == env.record.job then
        env.record.killing = true
      end
      if group.op then self:finish(group.op, true) end
      self:check(env.record.killing or next(group.live) == nil,
        "a supervisor was closed, and a child lives")
    end)
    local service <close> = uvjobs.supervisor {
      strategy = s.strategy, intensity = s.intensity,
      exception_handler = function(_, context)
        local record = context.job and self.by_job[context.job]
        local is_about_child = not record or record.is_supervised
        if not is_about_child or context.message == "Job ended holding a mutex" then
          self:report(context)
        end
      end,
    }
    local _ <close> = closer(function() leave(self, env, s, group) end)
    start_children(self, env, s, group, service)
    self:exec(env, s.body)
  end
end
