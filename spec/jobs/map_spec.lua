-- map, and what all, race and map refuse.

local helper = require "spec.helper"
local uvjobs = require "uvjobs"

local virtual, ignore, kilobytes = helper.virtual, helper.ignore, helper.kilobytes

-- A million items take 15 s of computing under the address sanitizer. A tenth of
-- them runs the same code there; that memory stays small is proved without it.
local MANY <const> = os.getenv("UVJOBS_PRESET") == "asan" and 100000 or 1000000

describe("map", function()
  after_each(helper.check_clean)

  it("calls the function with each item and its index; results in order", function()
    virtual(function()
      local items = { "c", "a", "b" }
      local got = uvjobs.map(items, function(item, i)
        uvjobs.sleep(3 - i)
        return item .. i, "dropped"
      end)
      assert.same({ "c1", "a2", "b3", n = 3 }, got)
      assert.equal(2, uvjobs.now())
    end)
  end)

  it("keeps holes: nil results and false items", function()
    virtual(function()
      local got = uvjobs.map({ 1, false, 3, 4 }, function(item)
        if item == 3 or item == false then return item end
      end)
      assert.equal(4, got.n)
      assert.same({ [2] = false, [3] = 3, n = 4 }, got)
    end)
  end)

  it("of an empty list or an iterator that ends at once gives no results", function()
    virtual(function()
      assert.same({ n = 0 }, uvjobs.map({}, error))
      assert.same({ n = 0 }, uvjobs.map(function() return nil end, error))
      assert.equal(0, uvjobs.now())
    end)
  end)

  it("takes the items from an iterator function, until it gives nil", function()
    virtual(function()
      assert.same({ "ONE", "TWO", "THREE", n = 3 },
        uvjobs.map(("one two three"):gmatch("%a+"), string.upper))
      local asked = 0
      local got = uvjobs.map(function()
        asked = asked + 1
        if asked == 3 then return nil end
        return asked ~= 1 and asked
      end, function(item) return item end)
      assert.same({ false, 2, n = 2 }, got)
      assert.equal(3, asked)
    end)
  end)

  it("takes the items from an iterator that suspends", function()
    virtual(function()
      local q, s = uvjobs.queue(1), uvjobs.scheduler()
      s:spawn(function()
        for i = 1, 5 do uvjobs.sleep(1); q:put(i) end
        q:close()
      end)
      local got = uvjobs.map(function() return (q:get()) end, function(item)
        uvjobs.sleep(1)
        return item * 2
      end)
      assert.same({ 2, 4, 6, 8, 10, n = 5 }, got)
      assert.equal(6, uvjobs.now())
      s:wait_and_close()
    end)
  end)

  -- Runs map over `count` items; returns the most that were alive at once.
  local function most_alive(count, opts)
    local alive, most, list = 0, 0, {}
    for i = 1, count do list[i] = i end
    local got = uvjobs.map(list, function(item)
      alive = alive + 1
      most = math.max(most, alive)
      uvjobs.sleep(item % 7 / 10)
      alive = alive - 1
      return item
    end, opts)
    for i = 1, count do assert.equal(i, got[i]) end
    assert.equal(0, alive)
    return most
  end

  it("has exactly limit alive while there is enough to do", function()
    virtual(function()
      assert.equal(1, most_alive(20, { limit = 1 }))
      assert.equal(7, most_alive(100, { limit = 7 }))
      assert.equal(100, most_alive(300))
      assert.equal(100, most_alive(300, {}))
      assert.equal(300, most_alive(300, { limit = math.huge }))
      assert.equal(5, most_alive(5, { limit = 10 }))
    end)
  end)

  it("asks its iterator for no more items than it can run, and one", function()
    virtual(function()
      local asked, started, ahead = 0, 0, 0
      uvjobs.map(function()
        asked = asked + 1
        ahead = math.max(ahead, asked - started)
        if asked <= 50 then return asked end
      end, function() started = started + 1; uvjobs.sleep(1) end, { limit = 4 })
      assert.equal(50, started)
      assert.is_true(ahead <= 5)
    end)
  end)

  it("needs memory for limit jobs, not for a million items", function()
    virtual(function()
      local n, alive, most, highest = 0, 0, 0, 0
      local before = kilobytes()
      local got = uvjobs.map(function()
        n = n + 1
        if n % (MANY // 10) == 0 then highest = math.max(highest, kilobytes()) end
        if n <= MANY then return n end
      end, function(item)
        alive = alive + 1
        if alive > most then most = alive end
        if item % 4 == 0 then uvjobs.yield() end
        alive = alive - 1
      end, { limit = 10 })
      assert.equal(MANY, got.n)
      assert.is_nil(next(got, next(got))) -- no result, no memory for it
      assert.is_true(most <= 10)
      assert.is_true(highest < before + 200, ("%.0f KB more"):format(highest - before))
    end)
  end)

  it("stops asking for items when one failed, and raises its error", function()
    virtual(function()
      local asked = 0
      local ok, err = pcall(uvjobs.map, function() asked = asked + 1 return asked end,
        function(item)
          uvjobs.sleep(item)
          error("item " .. item, 0)
        end, { limit = 3 })
      assert.is_false(ok)
      assert.equal("item 1", err)
      assert.is_true(asked <= 5)
      assert.equal(1, uvjobs.now())
    end)
  end)

  it("raises the error of its iterator, and cancels the children", function()
    virtual(function()
      local n, problem, jobs = 0, {}, {}
      local ok, err = pcall(uvjobs.map, function()
        n = n + 1
        if n == 4 then uvjobs.sleep(1); error(problem) end
        return n
      end, function(i) jobs[i] = uvjobs.current(); uvjobs.sleep(10) end)
      assert.is_false(ok)
      assert.equal(problem, err)
      assert.equal(1, uvjobs.now())
      assert.equal(3, #jobs)
      for _, job in ipairs(jobs) do assert.equal("cancelled", job.state) end
    end)
  end)

  it("passes a `closed` error of its iterator on", function()
    virtual(function()
      local other = uvjobs.scheduler()
      other:close()
      local n = 0
      local err = helper.raises("closed", uvjobs.map, function()
        n = n + 1
        if n == 2 then other:spawn(ignore) end
        return n
      end, uvjobs.sleep)
      assert.equal("the scheduler is closed", err.message)
    end)
  end)

  it("leaves nothing running when it is cancelled while spawn waits for a slot", function()
    virtual(function()
      local s, jobs, n = uvjobs.scheduler(), {}, 0
      local job = s:spawn(uvjobs.map, function() n = n + 1; return n end, function(i)
        jobs[i] = uvjobs.current()
        uvjobs.sleep(10)
      end, { limit = 3 })
      uvjobs.sleep(1)
      job:cancel()
      job:join()
      assert.equal("cancelled", job.state)
      assert.equal(1, uvjobs.now())
      assert.equal(3, #jobs)
      for _, it in ipairs(jobs) do assert.equal("cancelled", it.state) end
      s:wait_and_close()
    end)
  end)

  it("raises `cancelled` when a child was cancelled: it has no result", function()
    virtual(function()
      helper.raises("cancelled", uvjobs.map, { 1, 2, 3 }, function(i)
        if i == 2 then uvjobs.current():cancel() end
        uvjobs.sleep(1)
        return i
      end)
    end)
  end)
end)

describe("misuse of all, race and map", function()
  after_each(helper.check_clean)

  local function raises(expected, fn, ...)
    assert.equal(expected, helper.message(fn, ...))
    local args = table.pack(...)
    virtual(function()
      assert.equal(expected, helper.message(fn, table.unpack(args, 1, args.n)))
    end)
  end

  for _, name in ipairs { "all", "race" } do
    it("raises for something else than a list of functions in " .. name, function()
      local prefix = ("bad argument #1 to '%s' ("):format(name)
      raises(prefix .. "list of functions expected, got nil)", uvjobs[name])
      raises(prefix .. "list of functions expected, got function)", uvjobs[name], ignore)
      raises(prefix .. "function expected as element 2, got number)", uvjobs[name], { ignore, 5 })
      raises(prefix .. "function expected as element 1, got table)", uvjobs[name], { {} })
    end)
  end

  it("raises for a race of nobody", function()
    raises("bad argument #1 to 'race' (at least one function expected, got none)",
      uvjobs.race, {})
  end)

  it("raises for a wrong list, function or option in map", function()
    local prefix = "bad argument #%d to 'map' (%s)"
    for _, case in ipairs {
      { 1, "list or iterator function expected, got nil", nil, ignore },
      { 1, "list or iterator function expected, got string", "abc", ignore },
      { 2, "function expected, got nil", {} },
      { 2, "function expected, got table", {}, {} },
      { 3, "table expected, got number", {}, ignore, 5 },
      { 3, "unknown option 'limt', did you mean 'limit'?", {}, ignore, { limt = 5 } },
      { 3, "option 'limit': integer >= 1 or math.huge expected, got 0", {}, ignore, { limit = 0 } },
      { 3, "option 'limit': integer >= 1 or math.huge expected, got 1.5", {}, ignore,
        { limit = 1.5 } },
      { 3, "option 'limit': integer >= 1 or math.huge expected, got '5'", {}, ignore,
        { limit = "5" } },
      { 3, "option 'limit': integer >= 1 or math.huge expected, got table", {}, ignore,
        { limit = {} } },
    } do
      raises(prefix:format(case[1], case[2]), uvjobs.map, case[3], case[4], case[5])
    end
  end)

  it("accepts the numbers as a limit that a scheduler does", function()
    virtual(function()
      assert.equal(2, uvjobs.scheduler({ limit = 2.0 }).limit)
      assert.same({ 1, 2, n = 2 }, uvjobs.map({ 1, 2 }, function(i) return i end, { limit = 2.0 }))
    end)
  end)

  it("blames the caller", function()
    for _, fn in ipairs {
      function() uvjobs.all(5) end, function() uvjobs.all { 5 } end,
      function() uvjobs.race {} end, function() uvjobs.map(5) end,
      function() uvjobs.map({}, ignore, { limit = 0 }) end,
      function() uvjobs.map({}, ignore, { limt = 1 }) end,
    } do
      local _, err = pcall(fn)
      assert.matches("map_spec.lua:%d+: bad argument", err)
    end
  end)
end)
