-- Which Lua loads uvjobs: another one than 5.5, and 5.4.4 and later, is refused before the C
-- module is loaded, which would fail for the first function of Lua that it does not find.

local NEEDS <const> = "uvjobs needs Lua 5.4, from 5.4.4 on, or 5.5; this is "
local KNOWN <const> = { ["Lua 5.4"] = true, ["Lua 5.5"] = true }

if not KNOWN[_VERSION] then error(NEEDS .. _VERSION, 0) end

-- The releases of 5.4 do not say which they are. Until 5.4.2 `__close` could not yield, and
-- in 5.4.3 a function that did so with other numbers of values than it returned, which the
-- compiler did not know, returned more.
local RESULTS <const> = 3

local function yielding(...)
  local values = table.pack(...)
  return setmetatable({}, { __close = function() coroutine.yield(table.unpack(values)) end })
end

local function probe()
  local _ <close> = yielding()
  local _ <close> = yielding(1)
  return table.unpack({}, 1, RESULTS)
end

local function count_results()
  local co = coroutine.create(probe)
  local results
  repeat
    results = table.pack(coroutine.resume(co))
  until coroutine.status(co) == "dead"
  if results[2] == "not enough memory" then error(results[2], 0) end
  return results.n - 1
end

if count_results() ~= RESULTS then error(NEEDS .. "an older one", 0) end

return true
