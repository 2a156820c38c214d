-- all, race and map: functions that run as children of the current job. Their
-- jobs live in a nursery of their own, which is closed when the call is left:
-- so nothing is left running, whatever happens.

local FOREVER <const> = 1e18 -- seconds

return function(uvjobs, core)
  core.own_source()

  -- Blames the caller of the public function that calls the one that calls this.
  local function bad_argument(n, name, message)
    error(("bad argument #%d to '%s' (%s)"):format(n, name, message), 4)
  end

  local function check_functions(fns, name, min)
    if type(fns) ~= "table" then
      bad_argument(1, name, "list of functions expected, got " ..
        core.typename(fns))
    end
    for i = 1, #fns do
      if type(fns[i]) ~= "function" then
        bad_argument(1, name, ("function expected as element %d, got %s")
          :format(i, core.typename(fns[i])))
      end
    end
    if #fns < min then
      bad_argument(1, name, "at least one function expected, got none")
    end
  end

  -- What goes wrong besides the first error is reported as if the children were
  -- jobs of the current job's scheduler.
  local function nursery(limit)
    local owner = uvjobs.current().scheduler
    return uvjobs.scheduler {
      limit = limit,
      pending_limit = 0,
      close_timeout = owner.close_timeout,
      timeslice = owner.timeslice,
      on_error = "cancel",
      exception_handler = function(_, context)
        owner:call_exception_handler(context)
      end,
    }
  end

  -- A child that fails while a sibling waits for it, or that somebody else
  -- cancelled or killed, has no result and does not make the nursery fail: the
  -- others are cancelled all the same, and its error is raised. `unstarted` has
  -- the children with a number above `started`; they start in order.
  local function guard_of(children)
    local guard = { ended = nil, started = 0, unstarted = {} }
    function guard.__close(_, err)
      if err == nil then return end
      guard.ended = guard.ended or uvjobs.current()
      if not children.closed then core.begin_close(children) end
    end
    return setmetatable(guard, guard)
  end

  local function keep(guard, i, job)
    if i > guard.started then guard.unstarted[i] = job end
  end

  local function start(guard, i)
    guard.started, guard.unstarted[i] = i, nil
  end

  local function wait_for_all(children, guard)
    core.wait_and_leave(children, FOREVER)
    local _, dropped = next(guard.unstarted)
    local ended = guard.ended or dropped
    if ended then ended:wait() end
  end

  local function run_one(guard, fn, i, results, packed)
    local _ <close> = guard
    start(guard, i)
    local values = table.pack(fn())
    results[i], packed[i] = values[1], values
  end

  function uvjobs.all(fns)
    check_functions(fns, "all", 0)
    core.check_suspend("all", 2)
    local results, packed = { n = #fns }, {}
    local children <close> = nursery(math.huge)
    local guard = guard_of(children)
    for i = 1, #fns do
      keep(guard, i,
        children:spawn(run_one, guard, fns[i], i, results, packed))
    end
    wait_for_all(children, guard)
    return results, packed
  end

  -- The first child that ends, however it does, decides.
  local function compete(fn, i, outcome, children)
    local _ <close> = setmetatable({}, { __close = function()
      outcome.first = outcome.first or i
      core.wake_idle(children)
    end })
    local values = table.pack(fn())
    if not outcome.first then outcome.values = values end
  end

  function uvjobs.race(fns)
    check_functions(fns, "race", 1)
    core.check_suspend("race", 2)
    local jobs, outcome = {}, {}
    local children <close> = nursery(math.huge)
    for i = 1, #fns do
      jobs[i] = children:spawn(compete, fns[i], i, outcome, children)
    end
    core.wait_until_idle(children)
    core.close_quietly(children)
    local values = outcome.values
    if not values then
      children:wait_and_close()
      jobs[outcome.first or 1]:wait()
    end
    core.report_failed(children)
    return outcome.first, table.unpack(values, 1, values.n)
  end

  -- An iterator over index and item of a list, or of what a function gives.
  local function items_of(list)
    local i = 0
    if type(list) == "table" then
      local n = #list
      return function()
        i = i + 1
        if i <= n then return i, list[i] end
      end
    end
    return function()
      local item = list()
      i = i + 1
      if item ~= nil then return i, item end
    end
  end

  local function check_limit(limit)
    if limit == nil then return 100 end
    if type(limit) == "number" and
      (limit == math.huge or (math.tointeger(limit) or 0) >= 1) then
      return limit
    end
    local got = type(limit) == "number" and tostring(limit)
      or type(limit) == "string" and ("'%s'"):format(limit)
      or core.typename(limit)
    bad_argument(3, "map",
      "option 'limit': integer >= 1 or math.huge expected, got " .. got)
  end

  local function check_options(opts)
    if opts == nil then return end
    if type(opts) ~= "table" then
      bad_argument(3, "map", "table expected, got " .. core.typename(opts))
    end
    for key in pairs(opts) do
      if key ~= "limit" then
        bad_argument(3, "map", ("unknown option '%s', did you mean 'limit'?")
          :format(tostring(key)))
      end
    end
  end

  local function check_items(list, fn)
    if type(list) ~= "table" and type(list) ~= "function" then
      bad_argument(1, "map", "list or iterator function expected, got " ..
        core.typename(list))
    elseif type(fn) ~= "function" then
      bad_argument(2, "map", "function expected, got " .. core.typename(fn))
    end
  end

  local function map_one(guard, fn, i, item, results)
    local _ <close> = guard
    start(guard, i)
    results[i] = fn(item, i)
  end

  -- Nil when the children were closed: because one failed or was cancelled.
  local function try_spawn(children, ...)
    local ok, job = pcall(children.spawn, children, ...)
    if ok then return job end
    if uvjobs.code(job) ~= "closed" then error(job, 0) end
  end

  -- A child for each item, made when there is a slot for it: the nursery has no
  -- pending queue, so spawn() waits. After an error nothing more is asked for.
  function uvjobs.map(list, fn, opts)
    check_items(list, fn)
    check_options(opts)
    local limit = check_limit(opts and opts.limit)
    core.check_suspend("map", 2)
    local results = { n = 0 }
    local children <close> = nursery(limit)
    local guard = guard_of(children)
    for i, item in items_of(list) do
      results.n = i
      local job = try_spawn(children, map_one, guard, fn, i, item, results)
      if not job then break end
      keep(guard, i, job)
    end
    wait_for_all(children, guard)
    return results
  end
end
