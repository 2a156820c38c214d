-- all, race and map: functions that run as children of the current job. Their
-- jobs live in a nursery of their own, which is closed when the call is left:
-- so nothing is left running, whatever happens.

local FOREVER <const> = 1e18 -- seconds

return function(uvjobs, core)
  local function bad_argument(n, name, message)
    error(("bad argument #%d to '%s' (%s)"):format(n, name, message), 4)
  end

  -- For the functions of this module: blames their caller.
  local function check_in_job(name)
    local ok, err = pcall(core.check_suspend, name)
    if not ok then error(err, 3) end
  end

  local function check_functions(fns, name, min)
    if type(fns) ~= "table" then
      bad_argument(1, name, "list of functions expected, got " ..
        (fns == nil and "nil" or type(fns)))
    end
    for i = 1, #fns do
      if type(fns[i]) ~= "function" then
        bad_argument(1, name, ("function expected as element %d, got %s")
          :format(i, type(fns[i])))
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
      on_error = "cancel",
      exception_handler = function(_, context)
        owner:call_exception_handler(context)
      end,
    }
  end

  local function run_one(fn, i, results, packed)
    local values = table.pack(fn())
    results[i], packed[i] = values[1], values
  end

  function uvjobs.all(fns)
    check_functions(fns, "all", 0)
    check_in_job("all")
    local results, packed = { n = #fns }, {}
    local children <close> = nursery(math.huge)
    for i = 1, #fns do
      children:spawn(run_one, fns[i], i, results, packed)
    end
    children:wait_and_close(FOREVER)
    return results, packed
  end

  -- The first child that ends, by returning or by an error, sets `ended`.
  local function compete(fn, i, outcome, ended)
    local _ <close> = setmetatable({}, { __close = function() ended:set() end })
    local values = table.pack(fn())
    if not outcome.winner and not outcome.children.closed then
      outcome.winner, outcome.values = i, values
    end
  end

  function uvjobs.race(fns)
    check_functions(fns, "race", 1)
    check_in_job("race")
    local ended = uvjobs.event()
    local children <close> = nursery(math.huge)
    local outcome = { children = children }
    for i = 1, #fns do
      children:spawn(compete, fns[i], i, outcome, ended)
    end
    ended:wait()
    children:close()
    if not outcome.winner then children:wait_and_close() end
    core.report_failed(children)
    return outcome.winner,
      table.unpack(outcome.values, 1, outcome.values.n)
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

  local function check_map(list, fn, opts)
    if type(list) ~= "table" and type(list) ~= "function" then
      bad_argument(1, "map", "list or iterator function expected, got " ..
        type(list))
    elseif type(fn) ~= "function" then
      bad_argument(2, "map", "function expected, got " .. type(fn))
    elseif opts ~= nil and type(opts) ~= "table" then
      bad_argument(3, "map", "table expected, got " .. type(opts))
    end
    for key in pairs(opts or {}) do
      if key ~= "limit" then
        bad_argument(3, "map", ("unknown option '%s', did you mean 'limit'?")
          :format(key))
      end
    end
    local limit = opts and opts.limit
    if limit ~= nil and limit ~= math.huge and
      (math.type(limit) ~= "integer" or limit < 1) then
      bad_argument(3, "map", "option 'limit': integer >= 1 or math.huge " ..
        "expected, got " .. tostring(limit))
    end
    return limit or 100
  end

  local function map_one(fn, i, item, results)
    results[i] = fn(item, i)
  end

  -- A child for each item, made when there is a slot for it: the nursery has no
  -- pending queue, so spawn() waits.
  function uvjobs.map(list, fn, opts)
    local limit = check_map(list, fn, opts)
    check_in_job("map")
    local results = { n = 0 }
    local children <close> = nursery(limit)
    for i, item in items_of(list) do
      results.n = i
      children:spawn(map_one, fn, i, item, results)
    end
    children:wait_and_close(FOREVER)
    return results
  end
end
