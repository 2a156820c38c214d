-- A function in another thread gets copies of its arguments, and its results are copied back.
local uvjobs = require "uvjobs"
local helper = require "spec.helper"

local message, in_run = helper.message, helper.in_run

--- Runs in the pool, and returns its arguments.
local function echo(...) return ... end

describe("what is copied", function()
  after_each(helper.check_clean)

  it("are nil, booleans and numbers, integers and floats apart", in_run(function()
    for _, value in ipairs { true, false, 0, 1, -1, math.maxinteger, math.mininteger, 1.0, 0.1,
      math.huge, -math.huge, 2 ^ 53, 5e-324 } do
      local copy = uvjobs.work(echo, value)
      assert.equal(value, copy)
      assert.equal(math.type(value), math.type(copy))
    end
    local nan = uvjobs.work(echo, 0 / 0)
    assert.is_true(nan ~= nan)
    assert.equal(-math.huge, 1 / uvjobs.work(echo, -0.0))
    assert.same({ n = 3 }, table.pack(uvjobs.work(echo, nil, nil, nil)))
    assert.equal("float integer", uvjobs.work(function(a, b)
      return math.type(a) .. " " .. math.type(b)
    end, 1.0, 1))
  end))

  it("are strings of any bytes and length", in_run(function()
    local all = {}
    for i = 0, 255 do all[i + 1] = string.char(i) end
    for _, text in ipairs { "", "\0", "a\0b", table.concat(all), ("x"):rep(1000000) } do
      assert.is_true(text == uvjobs.work(echo, text))
      assert.is_true(text == next(uvjobs.work(echo, { [text] = true })))
    end
  end))

  it("are tables with any keys", in_run(function()
    local big = { list = {}, [1.5] = "float", [true] = false, [-1] = "below", [2 ^ 53] = 1,
      nested = { {}, { { "deep" } }, n = 3 } }
    for i = 1, 1000 do big.list[i], big["key" .. i] = i, { i } end
    assert.same(big, uvjobs.work(echo, big))
    assert.equal(1000, uvjobs.work(function(t) return #t.list end, big))
    local sparse = {}
    for i = 0, 50 do sparse[1 << i] = i end
    assert.same(sparse, uvjobs.work(echo, sparse))
  end))

  it("are keys that are tables", in_run(function()
    local copy = uvjobs.work(echo, { [{ 1 }] = { 2 } })
    local key, value = next(copy)
    assert.same({ { 1 }, { 2 } }, { key, value })
  end))

  it("are references to one table, also from two arguments, and cycles", in_run(function()
    local shared = {}
    shared.self, shared.back = shared, { shared }
    shared[shared] = "key"
    local a, b, same = uvjobs.work(function(x, y)
      return { y }, x, x == y and x.self == x and x.back[1] == x and x[x] == "key"
    end, shared, shared)
    assert.is_true(same)
    assert.is_true(a[1] == b and b.self == b and b.back[1] == b and b[b] == "key")
    assert.is_false(rawequal(b, shared))
  end))

  it("are the fields of a table, and neither its metatable nor what that gives", in_run(function()
    local copy = uvjobs.work(function(t)
      return { t.own, t.given, getmetatable(t) == nil }, setmetatable({ 1 }, { __index = { 2, 3 } })
    end, setmetatable({ own = 1 }, {
      __index = { given = 2 },
      __pairs = function() error("called") end,
    }))
    assert.same({ 1, nil, true }, copy)
  end))

  it("are very many arguments and results", in_run(function()
    local list = {}
    for i = 1, 20000 do list[i] = i end
    assert.same(list, { uvjobs.work(echo, table.unpack(list)) })
    assert.equal(200000, select("#", uvjobs.work(function()
      local t = {}
      for i = 1, 200000 do t[i] = i end
      return table.unpack(t)
    end)))
  end))

  it("are tables up to 200 deep, by either way", in_run(function()
    local function nest(depth)
      local t = {}
      for _ = 2, depth do t = { t } end
      return t
    end
    assert.same(nest(200), uvjobs.work(echo, nest(200)))
    assert.equal("bad argument #2 to 'work' (tables nested more than 200 deep)",
                 message(uvjobs.work, echo, nest(201)))
    assert.matches("bad argument #2", message(uvjobs.work, echo, nest(100000)), 1, true)
    assert.equal("'work': result #1 cannot be copied (tables nested more than 200 deep)",
                 message(uvjobs.work, function(t) return { t } end, nest(200)))
  end))
end)

describe("what is not copied", function()
  after_each(helper.check_clean)

  local text = "bad argument #%d to 'work' (nil, boolean, number, string, channel, blob or table "
    .. "of them expected, got %s)"

  it("are functions, userdata and threads", in_run(function()
    for name, value in pairs {
      ["function"] = print,
      ["thread"] = coroutine.create(print),
      ["FILE*"] = io.stdout,
      ["uvjobs.Job"] = uvjobs.current(),
    } do
      assert.equal(text:format(2, name), message(uvjobs.work, echo, value))
      assert.equal(text:format(4, name), message(uvjobs.work, echo, 1, nil, value, print))
      assert.equal(text:format(3, name .. " at value[1].a"),
                   message(uvjobs.work, echo, "", { { a = value } }))
      assert.equal(text:format(2, name .. " as a key"),
                   message(uvjobs.work, echo, { [value] = 1 }))
    end
    assert.equal(0, uvjobs.stats().work)
  end))
end)

describe("the error of a function in the pool", function()
  after_each(helper.check_clean)

  local function error_of(fn, ...)
    local ok, err = pcall(uvjobs.work, fn, ...)
    assert.is_false(ok)
    return err
  end

  it("is raised in the job, a string unchanged", function()
    uvjobs.run(function()
      assert.matches("^spec/work/copy_spec.lua:%d+: boom$",
                     error_of(function() error("boom") end))
      assert.equal("boom", error_of(function() error("boom", 0) end))
    end)
  end)

  it("is copied when it can be, metatables left out", function()
    uvjobs.run(function()
      for _, value in ipairs { 7, 7.5, false, { code = 404, { "x" } } } do
        local err = error_of(function(v)
          error(setmetatable({ v }, { __tostring = error }))
        end, value)
        assert.same({ value }, err)
        assert.is_nil(getmetatable(err))
        assert.same(value, error_of(function(v) error(v) end, value))
      end
      assert.equal(helper.NIL_ERROR, error_of(function() error(nil) end))
    end)
  end)

  it("is its text when it cannot be copied", function()
    uvjobs.run(function()
      assert.matches("^file %(0x", error_of(function() error(io.stdout) end))
      assert.matches("^function: ", error_of(function() error(print) end))
      assert.equal("told", error_of(function()
        error(setmetatable({ print }, { __tostring = function() return "told" end }))
      end))
      assert.equal("(error object is a table value)", error_of(function()
        error(setmetatable({ print }, { __tostring = error }))
      end))
    end)
  end)

  it("says when a result cannot be copied", function()
    uvjobs.run(function()
      assert.equal("'work': result #2 cannot be copied (nil, boolean, number, string, channel, "
        .. "blob or table of them expected, got function)",
        error_of(function() return 1, print end))
      assert.matches("^'work': result #1 .* got FILE%* at value%[1%]%[1%]%)$",
                     error_of(function() return { { io.stdout } } end))
    end)
  end)

  it("is a memory error when there is no memory", function()
    local r = helper.child([[
      local uvjobs = require "uvjobs"
      uvjobs.run(function()
        print(pcall(uvjobs.work, function() return io.tmpfile():read(1 << 60) end))
        print(uvjobs.work(function() return "and goes on" end))
      end)
    ]], "ASAN_OPTIONS=allocator_may_return_null=1")
    assert.equal("false\tnot enough memory\nand goes on\n", r.out)
    assert.equal(0, r.status)
  end)
end)
