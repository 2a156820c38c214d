-- The statements whose functions are children of the job: all, settled, race, any, map, each.

local uvjobs = require "uvjobs"

return function(World, exec)
  local body, closer, failed_with = World.body, World.closer, World.failed_with

  local function child(self, env, list, body_list)
    local record = self:record("child", nil, env.record.context)
    record.parent = env.record
    list[#list + 1] = record
    return function() return body(self, record, body_list) end
  end

  -- Calls fn(...), whose children are the records of the list: none is left.
  local function family(self, env, spec, list, fn, ...)
    spec.grace, spec.passes_errors = env.record.job.scheduler.close_timeout, true
    local got = table.pack(pcall(self.call, self, env, spec, fn, ...))
    local first
    for _, record in ipairs(list) do
      self:check(env.record.killing or not record.job or record.job.closed,
        "%s: J%d is left", spec.what, record.id)
      if not got[1] and failed_with(record, got[2]) and
        (not first or record.over_seq < first.over_seq) then
        first = record
      end
    end
    if first then first.delivered = first.delivered + 1 end
    if not got[1] then error(got[2], 0) end
    return table.unpack(got, 2, got.n)
  end

  World.family = family

  function exec.all(self, env, s)
    local list, fns = {}, {}
    for i, block in ipairs(s.bodies) do fns[i] = child(self, env, list, block) end
    local results, packed = family(self, env, { what = "all" }, list, uvjobs.all, fns)
    for i, record in ipairs(list) do
      self:check(results[i] == record.id and packed[i][2] == record.token, "all: other results")
    end
  end

  function exec.race(self, env, s)
    local list, fns = {}, {}
    for i, block in ipairs(s.bodies) do fns[i] = child(self, env, list, block) end
    local i, id, token = family(self, env, { what = "race", always = true }, list, uvjobs.race, fns)
    self:check(list[i].id == id and list[i].token == token, "race: other results")
    for _, record in ipairs(list) do record.maybe = true end
  end

  -- Children whose errors are never reported.
  local function unreported(self, env, list, bodies)
    local fns = {}
    for i, block in ipairs(bodies) do
      fns[i] = child(self, env, list, block)
      list[i].maybe, list[i].unreported = true, true
    end
    return fns
  end

  -- When `any` raises the error of a function, all have failed, and that one first.
  local function check_first_failure(self, list, err)
    local first, raised
    for _, record in ipairs(list) do
      if record.is_over and (not first or record.over_seq < first.over_seq) then
        first = record
      end
      raised = raised or record.delivered > 0
    end
    self:check(not raised or rawequal(first.error, err), "any: another error than the first")
  end

  function exec.any(self, env, s)
    local list = {}
    local fns = unreported(self, env, list, s.bodies)
    local ok, i, id, token = pcall(family, self, env, { what = "any", always = true }, list,
      uvjobs.any, fns)
    if not ok then
      check_first_failure(self, list, i)
      error(i, 0)
    end
    self:check(list[i].id == id and list[i].token == token, "any: other results")
    for _, record in ipairs(list) do
      self:check(not record.returned or record.over_seq >= list[i].over_seq,
        "any: J%d has succeeded before", record.id)
    end
  end

  function exec.settled(self, env, s)
    local list = {}
    local fns = unreported(self, env, list, s.bodies)
    local outcomes = family(self, env, { what = "settled" }, list, uvjobs.settled, fns)
    self:check(outcomes.n == #list, "settled: another number")
    for i, record in ipairs(list) do
      local outcome, state = outcomes[i], record.job and record.job.state or "cancelled"
      if outcome.ok then
        self:check(state == "done" and outcome.n == 2 and outcome[1] == record.id
          and outcome[2] == record.token, "settled: other results")
      elseif state == "failed" then
        self:check(rawequal(outcome.error, record.error), "settled: another error")
      else
        self:check(uvjobs.code(outcome.error) == state, "settled: not its state")
      end
    end
  end

  function exec.map(self, env, s)
    local list, items, running = {}, {}, 0
    for i = 1, s.n do items[i] = i end
    local results = family(self, env, { what = "map" }, list, uvjobs.map, items, function(item, i)
      local record = self:record("child", nil, env.record.context)
      record.parent = env.record
      list[#list + 1] = record
      running = running + 1
      self:check(running <= s.limit, "map: %d run", running)
      self:check(item == i and item == #list or self.program.shuffle, "map: the wrong item")
      local _ <close> = closer(function() running = running - 1 end)
      body(self, record, s.body)
      return -item
    end, { limit = s.limit })
    for i = 1, s.n do self:check(results[i] == -i, "map: other results") end
  end

  local function has_failure(list)
    for _, record in ipairs(list) do
      if record.is_over and not record.returned then return true end
    end
    return false
  end

  function exec.each(self, env, s)
    local list, items, running, ended, told = {}, {}, 0, {}, 0
    for i = 1, s.n do items[i] = i end
    local function on_result(i, id, token)
      told = told + 1
      local record = ended[told]
      self:check(record and record.item == i and record.id == id and record.token == token,
        "each: another result, or not in the order of the ends")
      self:check(not has_failure(list), "each: a result after an error")
      self:exec(env, { s.result })
    end
    local count = family(self, env, { what = "each" }, list, uvjobs.each, items, function(item, i)
      local record = self:record("child", nil, env.record.context)
      record.parent, record.item = env.record, i
      list[#list + 1] = record
      running = running + 1
      self:check(running + (s.result and #ended - told or 0) <= s.limit, "each: %d run", running)
      self:check(item == i and item == #list or self.program.shuffle, "each: the wrong item")
      local _ <close> = closer(function() running = running - 1 end)
      local id, token = body(self, record, s.body)
      ended[#ended + 1] = record
      return id, token
    end, { limit = s.limit, on_result = s.result and on_result })
    self:check(count == s.n and #ended == s.n and (not s.result or told == s.n),
      "each: another number")
  end
end
