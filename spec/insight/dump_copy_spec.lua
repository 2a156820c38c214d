-- uvjobs.dump() in a program with many jobs: a copy of the process makes the text.

local core = require "uvjobs.core"
local helper = require "spec.helper"
local process = require "spec.process"
local uvjobs = require "uvjobs"

local MANY <const> = 500

--- Calls `fn` while functions of `core` are replaced by `make(original)` each. Returns what it
--- returns.
local function with(replacements, fn)
  local originals = {}
  local _ <close> = setmetatable({}, { __close = function()
    for name, original in pairs(originals) do core[name] = original end
  end })
  for name, make in pairs(replacements) do
    originals[name] = core[name]
    core[name] = make(originals[name])
  end
  return fn()
end

--- Counts the looks at all jobs in this process: the counter, and what with() needs for it.
local function look_counter()
  local counter = { looks = 0, copies = 0 }
  return counter, {
    glances = function(original)
      return function()
        counter.looks = counter.looks + 1
        return original()
      end
    end,
    copy = function(original)
      return function(fn)
        counter.copy = original(fn)
        if counter.copy then counter.copies = counter.copies + 1 end
        return counter.copy
      end
    end,
  }
end

--- The text of a dump, or nothing when its function is not called.
local function text_of()
  local text
  uvjobs.dump(function(said) text = said end)
  return text
end

--- In a run with so many jobs besides the main one: the text of a dump, and the counter.
local function dump_among(count, options)
  local counter, replacements = look_counter()
  local text = with(replacements, function()
    return uvjobs.run(options or {}, function()
      local jobs <close> = helper.quiet { limit = math.huge, close_timeout = math.huge }
      for _ = 1, count do jobs:spawn({ name = "sleeper" }, uvjobs.sleep, 3600) end
      uvjobs.sleep(0)
      local text = text_of()
      jobs:close()
      return text
    end)
  end)
  return text, counter
end

local function assert_complete(text, count)
  assert.matches(("^uvjobs: %d jobs, "):format(count + 1), text)
  assert.matches((' and %d more: active'):format(count - 8), text)
end

describe("uvjobs.dump among many jobs", function()
  if not core.copy(function() return "" end) then
    pending "needs Linux"
    return
  end

  it("looks at them in a copy of the process, and not at one of them in the loop #I3", function()
    local text, counter = dump_among(MANY)
    assert_complete(text, MANY)
    assert.equal(0, counter.looks)
    assert.equal(1, counter.copies)
  end)

  it("looks at a hundred jobs at most in the loop #I3", function()
    local text, counter = dump_among(99)
    assert_complete(text, 99)
    assert.same({ 1, 0 }, { counter.looks, counter.copies })
    text, counter = dump_among(100)
    assert_complete(text, 100)
    assert.same({ 0, 1 }, { counter.looks, counter.copies })
  end)

  it("is of the moment of the call, whatever jobs do while the text is made #I2 #I3", function()
    uvjobs.run(function()
      local jobs <close> = helper.quiet { limit = math.huge, close_timeout = math.huge }
      local event, mutex, others = uvjobs.event(), uvjobs.mutex(), 0
      for _ = 1, MANY do
        jobs:spawn({ name = "waiter" }, function()
          event:wait()
          jobs:spawn({ name = "late" }, uvjobs.sleep, 3600)
          others = others + 1
        end)
      end
      jobs:spawn({ name = "first" }, function() mutex:with(function() event:wait() end) end)
      jobs:spawn({ name = "second" }, function() mutex:with(function() end) end)
      uvjobs.sleep(0.01)
      event:set()
      local text = text_of()
      assert.equal(MANY, others) -- they have gone on meanwhile
      assert.matches(("^uvjobs: %d jobs, "):format(MANY + 3), text)
      assert.matches((' and %d more: active, [^\n]*\n    it is ready to run\n')
        :format(MANY - 8), text)
      assert.matches('"second": [^\n]*\n    it waits for a mutex, locked by #%d+ "first"\n', text)
      assert.is_nil(text:find('"late"', 1, true))
      jobs:close()
    end)
  end)

  it("says where the calling job stands that has asked for it", function()
    local text = dump_among(MANY)
    assert.matches('\n  #%d+ "main": active, [^\n]*\n    it runs\n'
      .. '      [^\n]*dump_copy_spec.lua:%d+: in ', text)
  end)

  for _, how in ipairs { "cancelled", "killed" } do
    it(("writes nothing, and ends the copy, when its job is %s"):format(how), function()
      local counter, replacements = look_counter()
      with(replacements, function()
        uvjobs.run(function()
          local jobs <close> = helper.quiet { limit = math.huge, close_timeout = math.huge }
          for _ = 1, MANY do jobs:spawn(uvjobs.sleep, 3600) end
          local wrote = false
          local job = jobs:spawn(function() uvjobs.dump(function() wrote = true end) end)
          core.inject(job, 1, how == "killed")
          job:join()
          assert.is_true(job.state == how or job.state == "cancelled", job.state)
          assert.is_false(wrote)
          assert.is_false(core.copied(counter.copy))
          jobs:close()
        end)
      end)
    end)
  end

  it("looks in the loop where no copy is to be made, and under the virtual clock", function()
    for _, options in ipairs { { inspect = false }, { clock = "virtual" } } do
      local text, counter = dump_among(MANY, options)
      assert_complete(text, MANY)
      assert.same({ 1, 0 }, { counter.looks, counter.copies })
    end
  end)

  it("looks in the loop where the system makes no copy, or the copy fails", function()
    for _, make in ipairs {
      function() return function() end end,
      function(original) return function() return original(function() error "no" end) end end,
      function(original) return function() return original(function() return {} end) end end,
    } do
      with({ copy = make }, function()
        assert_complete(dump_among(MANY), MANY)
      end)
    end
  end)

  it("looks in the loop when its job cannot suspend, or is to end", function()
    local counter, replacements = look_counter()
    with(replacements, function()
      uvjobs.run(function()
        local jobs <close> = helper.quiet { limit = math.huge, close_timeout = math.huge }
        for _ = 1, MANY do jobs:spawn(uvjobs.sleep, 3600) end
        local texts = {}
        table.sort({ 1, 2 }, function(a, b)
          texts.within_sort = texts.within_sort or text_of()
          return a < b
        end)
        local job = jobs:spawn(function()
          local _ <close> = setmetatable({}, { __close = function() texts.at_end = text_of() end })
          uvjobs.sleep(3600)
        end)
        uvjobs.sleep(0)
        job:cancel()
        job:join()
        assert_complete(texts.within_sort, MANY)
        assert.matches(("^uvjobs: %d jobs, "):format(MANY + 2), texts.at_end)
        assert.same({ 2, 0 }, { counter.looks, counter.copies })
        jobs:close()
      end)
    end)
  end)

  it("leaves neither a process nor a descriptor behind", function()
    local function count()
      return #core.list_directory "/proc/self/fd"
    end
    dump_among(MANY)
    local before = count()
    for _ = 1, 3 do dump_among(MANY) end
    assert.equal(before, count())
    local result = process.run(([[
      local uvjobs = require "uvjobs"
      uvjobs.run(function()
        local jobs <close> = uvjobs.scheduler { limit = math.huge }
        for _ = 1, %d do jobs:spawn(uvjobs.sleep, 3600) end
        uvjobs.dump(function() end)
        local file <close> = io.open "/proc/thread-self/children"
        print(file and file:read "a")
        jobs:close()
      end)]]):format(MANY))
    assert.matches("^%s*\n$", result.out:gsub("nil", ""))
  end)
end)
