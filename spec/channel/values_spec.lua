-- What can be sent through a channel, and what is said about the rest.

local helper = require "spec.helper"
local uvjobs = require "uvjobs"

local message = helper.message

local EXPECTED <const> =
  "bad argument #1 to 'try_put' (nil, boolean, number, string, channel, blob or table of them "
  .. "expected, got %s)"

describe("a value in a channel", function()
  after_each(helper.check_clean)

  local channel
  before_each(function() channel = uvjobs.channel() end)

  local function send(value)
    assert.is_true(channel:try_put(value))
    return (channel:try_get())
  end

  it("is a copy #W10", function()
    local value = { 1, "two", { three = 3.5 }, [true] = false, [1.5] = {} }
    local copy = send(value)
    assert.same(value, copy)
    assert.not_equal(value, copy)
    assert.is_nil(getmetatable(send(setmetatable({}, { __index = value }))))
    for _, one in ipairs { true, false, 0, -1, math.mininteger, 1.0, math.huge, "", "\0", "x" } do
      local got = send(one)
      assert.equal(one, got)
      assert.equal(math.type(one), math.type(got))
    end
    assert.is_false(send(false))
  end)

  it("has the same tables as often as they were there, few or many #W10", function()
    for _, n in ipairs { 1, 5, 15, 16, 17, 18, 40, 1000 } do
      local value = { list = {}, again = {} }
      value.self = value
      for i = 1, n do value.list[i] = { i } end
      for i = 1, n do value.again[i] = value.list[n + 1 - i] end
      local copy = send(value)
      assert.equal(copy, copy.self)
      for i = 1, n do
        assert.equal(i, copy.list[i][1])
        assert.equal(copy.list[n + 1 - i], copy.again[i])
      end
    end
  end)

  it("is refused with its place, and nothing is sent #W10", function()
    for _, case in ipairs {
      { print, "function" },
      { coroutine.create(print), "thread" },
      { io.stdout, "FILE*" },
      { uvjobs.queue(), "uvjobs.Queue" },
      { { list = { 1, 2, { fn = print } } }, "function at value.list[3].fn" },
      { { [1.5] = { [true] = print } }, "function at value[1.5][true]" },
      { { ["a b"] = { [{}] = print } }, "function at value[string][table]" },
      { { deep = { [print] = 1 } }, "function as a key at value.deep" },
      { { [print] = 1 }, "function as a key" },
      { { end_ = uvjobs.event() }, "uvjobs.Event at value.end_" },
    } do
      assert.equal(EXPECTED:format(case[2]), message(channel.try_put, channel, case[1]))
    end
    assert.equal(0, #channel)
  end)

  it("goes 200 levels deep and no further", function()
    local function nest(n)
      local value = {}
      for _ = 2, n do value = { value } end
      return value
    end
    assert.truthy(send(nest(200)))
    assert.equal("bad argument #1 to 'try_put' (tables nested more than 200 deep)",
      message(channel.try_put, channel, nest(201)))
  end)

  it("is refused when it is larger than the limit", function()
    channel = uvjobs.channel(10, { message_limit = 1000 })
    local text = "bad argument #1 to 'try_put' (it takes more than 1000 bytes%s)"
    assert.is_true(channel:try_put(("x"):rep(900)))
    assert.equal(text:format "", message(channel.try_put, channel, ("x"):rep(1001)))
    assert.equal(text:format "", message(channel.try_put, channel, ("x"):rep(1000)))
    assert.equal(text:format " at value.a[2]",
      message(channel.try_put, channel, { a = { 1, ("x"):rep(2000) } }))
    local many = {}
    for i = 1, 1000 do many[i] = i end
    assert.matches("it takes more than 1000 bytes", message(channel.try_put, channel, many))
    assert.is_true(channel:try_put(uvjobs.blob(("x"):rep(10000)))) -- is not copied
    assert.equal(2, #channel)
  end)

  it("frees what it carries when it is refused, or never got", function()
    local blob = uvjobs.blob "bytes"
    assert.is_false(pcall(channel.try_put, channel, { blob, channel, blob, print }))
    for _ = 1, 100 do
      local other = uvjobs.channel()
      assert.is_true(other:try_put { blob, channel, { blob } })
    end
    collectgarbage()
    assert.equal("bytes", blob:string())
  end)

  it("can be a channel that is in itself, which is dropped with it", function()
    for _ = 1, 100 do
      local one, two = uvjobs.channel(), uvjobs.channel()
      assert.is_true(one:try_put { one, { two } })
      assert.is_true(two:try_put { one, uvjobs.blob "kept by nobody" })
    end
    collectgarbage()
    collectgarbage()
    local one = uvjobs.channel()
    one:try_put(one)
    assert.is_true(rawequal(one, one:try_get()))
  end)

  it("can be put by a finalizer that runs while another is packed", function()
    local others = uvjobs.channel()
    local big = {}
    for i = 1, 2000 do big[i] = { i } end
    local stop
    local function make()
      if stop then return end
      setmetatable({}, { __gc = function() others:try_put { "from a finalizer" } make() end })
    end
    make()
    for _ = 1, 50 do assert.same(big, send(big)) end
    stop = true
    collectgarbage()
    for value in function() return (others:try_get()) end do
      assert.same({ "from a finalizer" }, value)
    end
  end)
end)

describe("a blob", function()
  after_each(helper.check_clean)

  it("has the bytes of its string", function()
    local blob = uvjobs.blob "hello\0world"
    assert.equal(11, #blob)
    assert.equal("hello\0world", blob:string())
    assert.equal("uvjobs.Blob: 11 bytes", tostring(blob))
    assert.equal("uvjobs.Blob: 1 byte", tostring(uvjobs.blob "x"))
    assert.equal("", uvjobs.blob "":string())
    assert.is_true(blob == uvjobs.blob "hello\0world")
    assert.is_false(blob == uvjobs.blob "hello\0worle")
    assert.is_false(blob == "hello\0world")
  end)

  it("has parts as a string has", function()
    local text = "0123456789"
    local blob = uvjobs.blob(text)
    for i = -12, 12 do
      assert.equal(text:sub(i), blob:sub(i))
      assert.same({ text:byte(i) }, { blob:byte(i) })
      for j = -12, 12 do
        assert.equal(text:sub(i, j), blob:sub(i, j))
        assert.equal(text:sub(i, j), blob:slice(i, j):string())
        assert.equal(text:sub(2, 8):sub(i, j), blob:slice(2, 8):slice(i, j):string())
        assert.same({ text:byte(i, j) }, { blob:byte(i, j) })
      end
    end
    assert.equal(text, blob:sub(math.mininteger, math.maxinteger))
    assert.equal("", blob:sub(math.maxinteger, math.mininteger))
    assert.equal(text, blob:sub())
    assert.same({ 48 }, { blob:byte() })
  end)

  it("raises for what is no string, no position and no blob", function()
    assert.equal("bad argument #1 to 'blob' (string expected, got nil)", message(uvjobs.blob, nil))
    assert.equal("bad argument #1 to 'blob' (string expected, got number)",
      message(uvjobs.blob, 1))
    local blob = uvjobs.blob "x"
    assert.equal("bad argument #1 to 'sub' (integer expected, got 1.5)",
      message(blob.sub, blob, 1.5))
    assert.equal("bad argument #2 to 'slice' (integer expected, got table)",
      message(blob.slice, blob, 1, {}))
    assert.equal("bad self to 'byte' (uvjobs.Blob expected, got string)",
      message(blob.byte, "x"))
    assert.matches("unknown property 'find'", message(function() return blob.find end))
  end)

  it("is not copied when it is sent, and keeps its part #W10", function()
    local channel = uvjobs.channel(10, { message_limit = 200 })
    local blob = uvjobs.blob(("x"):rep(2 ^ 20) .. "end")
    channel:try_put { blob, blob:slice(-3) }
    local got = channel:try_get()
    assert.is_true(got[1] == blob)
    assert.equal("end", got[2]:string())
  end)

  it("makes Lua collect what nobody has any more", function()
    local n = 0
    local bytes = ("x"):rep(2 ^ 20)
    for _ = 1, 300 do
      local blob = setmetatable({ uvjobs.blob(bytes) },
        { __gc = function() n = n + 1 end })
      assert.equal(2 ^ 20, #blob[1])
    end
    assert.is_true(n > 0)
  end)
end)
