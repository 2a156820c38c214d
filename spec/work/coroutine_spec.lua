-- The functions of `coroutine` in a function of work do what Lua's own do.
local uvjobs = require "uvjobs"
local helper = require "spec.helper"

--- What each part of a long list of uses came to, as a text. It must have no upvalues.
local function uses()
  local out = {}
  local function add(...)
    local parts = table.pack(...)
    for i = 1, parts.n do parts[i] = tostring(parts[i]):gsub("thread: .*", "thread") end
    out[#out + 1] = table.concat(parts, " ")
  end
  local function handler(text)
    return setmetatable({}, { __close = function(_, err)
      add("closed", text, err)
      if text == "bad" then error "bad close" end
    end })
  end

  -- values go in and out
  local co = coroutine.create(function(...)
    add("in", ...)
    add("again", coroutine.yield(1, nil, 3))
    return "out", nil
  end)
  add(coroutine.resume(co, "a", nil, "c"))
  add(coroutine.status(co), coroutine.isyieldable(co))
  add(coroutine.resume(co, nil, 2))
  add(coroutine.status(co))
  add(coroutine.resume(co))
  add(coroutine.resume(co))

  -- errors
  for _, err in ipairs { "text", 42, false } do
    co = coroutine.create(function() error(err) end)
    add(coroutine.resume(co))
    add(coroutine.status(co), coroutine.resume(co))
    add(pcall(coroutine.wrap(function() error(err) end)))
  end
  local object = {}
  add(select(2, coroutine.resume(coroutine.create(function() error(object) end))) == object)
  add(select(2, pcall(coroutine.wrap(function() error(object) end))) == object)
  local wrapped = coroutine.wrap(function() return 1 end)
  wrapped()
  add(pcall(wrapped))
  add(pcall(coroutine.wrap, 5))
  add(pcall(coroutine.resume, 5))
  add(pcall(coroutine.close))

  -- the running one, and those that wait for others
  add(coroutine.resume(coroutine.running()))
  co = coroutine.wrap(function()
    local outer = coroutine.running()
    coroutine.wrap(function()
      add(coroutine.status(outer), coroutine.resume(outer))
      add(pcall(coroutine.close, outer))
    end)()
    add(pcall(coroutine.close, outer))
  end)
  co()

  -- closing
  for _, text in ipairs { "good", "bad" } do
    co = coroutine.create(function()
      local _ <close> = handler(text)
      coroutine.yield()
    end)
    coroutine.resume(co)
    add(coroutine.close(co))
    add(coroutine.status(co), coroutine.close(co))
  end
  add(pcall(coroutine.wrap(function()
    local _ <close> = handler "good"
    error "in wrap"
  end)))
  co = coroutine.create(function() error "dead" end)
  coroutine.resume(co)
  add(coroutine.close(co))

  -- within each other, deeply and often
  local function count(n)
    if n == 0 then return 0 end
    return coroutine.wrap(function() return 1 + count(n - 1) end)()
  end
  add(count(100))
  add(pcall(count, 300) == false)
  local sum = 0
  for i in coroutine.wrap(function() for i = 1, 1000 do coroutine.yield(i) end end) do
    sum = sum + i
  end
  add(sum)

  -- many values
  local many = table.pack(coroutine.resume(coroutine.create(function(...) return ... end),
    table.unpack({}, 1, 200)))
  add(many.n)
  co = coroutine.create(function() return table.unpack({}, 1, 999990) end)
  add(coroutine.resume(co) == false)
  local text = table.concat(out, "\n"):gsub("[^ \n]*:%d+:", "WHERE")
  return (text:gsub("thread expected", "coroutine expected")) -- releases differ in it
end

describe("coroutine in a function of work", function()
  after_each(helper.check_clean)

  it("does what Lua's own functions do", function()
    local there = uvjobs.run(function() return uvjobs.work(uses) end)
    assert.equal(uses(), there)
  end)
end)
