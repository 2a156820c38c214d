-- Places in which Lua cannot yield: each calls fn() there, and returns what that has returned.
local job_coroutine = require "uvjobs.coroutine"

local places = {}

local function keep(fn)
  local result
  return function() if result == nil then result = fn() end return result end,
    function() return result end
end

places["a comparison of table.sort"] = function(fn)
  local call, result = keep(fn)
  table.sort({ 2, 1 }, function(a, b) call() return a < b end)
  return result()
end

places["a replacement of string.gsub"] = function(fn)
  local call, result = keep(fn)
  ;("x"):gsub("x", function() call() end)
  return result()
end

places["__index called by table.concat"] = function(fn)
  local call, result = keep(fn)
  table.concat(setmetatable({}, {
    __len = function() return 1 end, __index = function() call() return "x" end,
  }))
  return result()
end

places["__tostring"] = function(fn)
  local call, result = keep(fn)
  tostring(setmetatable({}, { __tostring = function() call() return "x" end }))
  return result()
end

places["the reader of load"] = function(fn)
  local call, result = keep(fn)
  local texts = { "return", " 1" }
  assert(load(function() call() return table.remove(texts, 1) end))
  return result()
end

places["a coroutine of coroutine.wrap"] = function(fn)
  return coroutine.wrap(function() coroutine.yield(fn()) end)()
end

places["a coroutine of coroutine.resume"] = function(fn)
  local co = coroutine.create(function(...) return coroutine.yield(...), fn() end)
  assert(coroutine.resume(co, 1))
  local ok, err, result = coroutine.resume(co, 2)
  if ok then return result end
  coroutine.close(co)
  error(err, 0)
end

places["a <close> variable of coroutine.close"] = function(fn)
  local result
  local co = coroutine.create(function()
    local _ <close> = setmetatable({}, { __close = function() result = fn() end })
    coroutine.yield()
  end)
  coroutine.resume(co)
  assert(coroutine.close(co))
  return result
end

places["a coroutine of uvjobs.coroutine in one of Lua's own"] = function(fn)
  return coroutine.wrap(function() return job_coroutine.wrap(fn)() end)()
end

places["one of Lua's own in a comparison, in one of uvjobs.coroutine"] = function(fn)
  return job_coroutine.wrap(function()
    return places["a comparison of table.sort"](function() return coroutine.wrap(fn)() end)
  end)()
end

return places
