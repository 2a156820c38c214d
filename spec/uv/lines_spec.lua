-- Lines, and so many bytes, from streams: TCP and pipes on this machine.
local uvjobs = require "uvjobs"
local world = require "spec.uv.helper"
local helper = require "spec.helper"

local in_run = helper.in_run

local function results(...) return table.pack(...) end

-- Calls fn(left, right) with the ends of a connection, and closes them.
local function with_pair(pair, fn)
  return in_run(function()
    local left <close>, right = pair()
    local _ <close> = right
    fn(left, right)
  end)
end

local function lines_of(stream, max)
  local lines = {}
  for line in stream:lines(max) do lines[#lines + 1] = line end
  return lines
end

for kind, pair in pairs { TCP = world.tcp_pair, ["a pipe"] = world.pipe_pair } do
  describe("reading lines from " .. kind, function()
    after_each(world.check_clean)

    it("gives them without their ends, of both kinds, and then nil",
      with_pair(pair, function(left, right)
        left:write("one\ntwo\r\n\n\r\nfour\rfive\n")
        left:shutdown()
        for _, line in ipairs { "one", "two", "", "", "four\rfive" } do
          assert.same({ n = 1, line }, results(right:read_line()))
        end
        assert.same({ n = 1 }, results(right:read_line()))
        assert.same({ n = 1 }, results(right:read_line()))
      end))

    it("gives the last line also without its end", with_pair(pair, function(left, right)
      left:write("one\nrest\r")
      left:shutdown()
      assert.same({ "one", "rest\r" }, lines_of(right))
    end))

    it("puts a line together that comes byte by byte", with_pair(pair, function(left, right)
      local jobs <close> = uvjobs.scheduler()
      local reader = jobs:spawn(lines_of, right)
      for byte in ("ab\r\n\nc\rd\r\ne"):gmatch "." do
        left:write(byte)
        world.settle(reader)
      end
      left:shutdown()
      assert.same({ "ab", "", "c\rd", "e" }, reader:wait())
    end))

    it("keeps for every other call what it does not take", with_pair(pair, function(left, right)
      left:write("line\n12345678rest\nmore\nlast")
      assert.equal("line", right:read_line())
      assert.equal("1234", right:read_exactly(4))
      assert.equal("", right:read_exactly(0))
      assert.equal("5678", right:read_exactly(4))
      assert.equal("rest", right:lines()())
      assert.equal("more\nlast", right:read_some())
      left:write("end")
      left:shutdown()
      assert.equal("en", right:read_exactly(2))
      assert.equal("d", right:chunks()())
      assert.is_nil(right:chunks()())
    end))

    it("says that a line is too long, and loses nothing", with_pair(pair, function(left, right)
      left:write("12345\r\n123456")
      local message = "EMSGSIZE: the line is longer than 4 bytes"
      for _ = 1, 2 do
        assert.same({ n = 3, nil, message, "EMSGSIZE" }, results(right:read_line(4)))
      end
      assert.matches(message .. "$", helper.message(right:lines(4)))
      assert.equal("12345", right:read_line(5))
      assert.equal("EMSGSIZE", (select(3, right:read_line(5)))) -- before its end has come
      left:write("\n\n")
      assert.equal("123456", right:read_line(6))
      assert.equal("", right:read_line(0))
      left:write("tail")
      left:shutdown()
      assert.equal("EMSGSIZE", (select(3, right:read_line(3))))
      assert.equal("tail", right:read_line(math.huge))
    end))

    it("waits for the rest of the end before it says so", with_pair(pair, function(left, right)
      local jobs <close> = uvjobs.scheduler()
      local reader = jobs:spawn(right.read_line, right, 3)
      left:write("abc\r")
      world.settle(reader)
      assert.equal("active", reader.state)
      left:write("\n")
      assert.equal("abc", reader:wait())
    end))

    it("loses nothing of a line when its time is up #M6", with_pair(pair, function(left, right)
      left:write("ab")
      assert.same({ n = 2, nil, "timeout" }, results(right:read_line(nil, 0.01)))
      assert.same({ n = 2, nil, "timeout" }, results(right:read_exactly(3, 0.01)))
      left:write("cd\n")
      assert.equal("abcd", right:read_line(nil, 30))
    end))

    it("loses nothing of a line when the job is cancelled #M6",
      with_pair(pair, function(left, right)
        local jobs <close> = uvjobs.scheduler()
        for _, byte in ipairs { "a", "b", "c" } do
          local job = jobs:spawn(right.read_line, right)
          world.settle(job)
          left:write(byte)
          world.settle(job)
          job:cancel()
          job:join()
          assert.equal("cancelled", job.state)
        end
        left:write("\nx")
        assert.equal("abc", right:read_line())
        assert.equal("x", right:read_exactly(1))
      end))

    it("says how many bytes there were when the stream ends too early",
      with_pair(pair, function(left, right)
        left:write("abc")
        left:shutdown()
        assert.same({ n = 3, nil, "EOF: the stream has ended after 3 of 4 bytes", "EOF" },
          results(right:read_exactly(4)))
        assert.equal("abc", right:read_exactly(3))
        assert.same({ n = 1 }, results(right:read_exactly(1)))
        assert.equal("", right:read_exactly(0))
      end))

    it("gives way to other jobs while there are lines", with_pair(pair, function(left, right)
      local jobs <close> = uvjobs.scheduler()
      left:write(("\n"):rep(10000))
      assert.equal("", right:read_line())
      local other = jobs:spawn(helper.ignore)
      for _ = 1, 1000 do right:read_line() end
      assert.equal("done", other.state)
    end))

    it("returns an error in the middle, and keeps what came before it",
      with_pair(pair, function(left, right)
        left:write("half")
        assert.is_nil((right:read_line(nil, 0.01)))
        right:close()
        assert.equal("ECANCELED", (select(3, right:read_line())))
        assert.equal("half", right:read_some())
      end))

    it("raises at its next call in a job that is cancelled #M5",
      with_pair(pair, function(left, right)
        local jobs <close> = uvjobs.scheduler()
        left:write("one\ntwo\n")
        assert.equal("one", right:read_line())
        local job = jobs:spawn(function()
          uvjobs.current():cancel()
          for _ = 1, 3 do helper.raises("cancelled", right.read_line, right) end
          helper.raises("cancelled", right.read_some, right)
          helper.raises("cancelled", right.lines(right))
        end)
        job:join()
        assert.equal("two", right:read_line())
      end))
  end)
end

describe("several jobs that read lines from one stream", function()
  after_each(world.check_clean)

  for seed = 1, 5 do
    it("get whole lines, each of them one #M6, seed " .. seed, function()
      uvjobs.run({ shuffle = seed }, function()
        local left <close>, right = world.tcp_pair()
        local _ <close> = right
        local jobs <close> = uvjobs.scheduler()
        local got, expected = {}, {}
        for i = 1, 4 do
          jobs:spawn(function()
            while true do
              local line, reason = right:read_line(nil, i == 1 and 0.001 or nil)
              if line then
                got[#got + 1] = line
              elseif not reason then
                return
              end
            end
          end)
        end
        local text = {}
        for i = 1, 300 do
          expected[i] = ("%03d "):format(i):rep(i % 40 + 1)
          text[i] = expected[i] .. "\n"
        end
        text = table.concat(text)
        for i = 1, #text, 97 do
          left:write(text:sub(i, i + 96))
          if i % 5 == 0 then uvjobs.yield() end
        end
        left:shutdown()
        jobs:wait_and_close(60)
        table.sort(got)
        assert.same(expected, got)
      end)
    end)
  end

  it("do not wait while what another has left is there", in_run(function()
    local left <close>, right = world.tcp_pair()
    local _ <close> = right
    local jobs <close> = uvjobs.scheduler()
    local first = jobs:spawn(right.read_line, right)
    world.settle(first)
    local second, third = jobs:spawn(right.read_line, right), jobs:spawn(right.read_some, right)
    world.settle(third)
    left:write("1\n2\n3")
    assert.same({ "1", "2", "3" }, { first:wait(), second:wait(), third:wait() })
  end))
end)

describe("bad arguments", function()
  after_each(world.check_clean)

  local cases = {
    { "read_line", { -1 }, "bad argument #1 to 'read_line' (integer >= 0 or math.huge " ..
      "expected, got -1)" },
    { "read_line", { "x" }, "bad argument #1 to 'read_line' (integer >= 0 or math.huge " ..
      "expected, got 'x')" },
    { "read_line", { nil, -1 }, "bad argument #2 to 'read_line' (seconds must be >= 0" },
    { "lines", { 0 / 0 }, "bad argument #1 to 'lines' (integer >= 0 or math.huge expected, " ..
      "got nan)" },
    { "read_exactly", {}, "bad argument #1 to 'read_exactly' (integer >= 0 expected, got nil)" },
    { "read_exactly", { 1.5 }, "bad argument #1 to 'read_exactly' (integer >= 0 expected, " ..
      "got 1.5)" },
    { "read_exactly", { 1, "x" }, "bad argument #2 to 'read_exactly' (" },
  }

  for _, case in ipairs(cases) do
    local name, args, message = table.unpack(case)
    it("are named: " .. message, with_pair(world.tcp_pair, function(left)
      assert.matches(message, helper.message(left[name], left, table.unpack(args, 1, 2)), 1, true)
    end))
  end

  it("are named: self", with_pair(world.tcp_pair, function(left)
    for _, name in ipairs { "read_line", "lines", "read_exactly", "read_some", "chunks" } do
      assert.equal(("bad self to '%s' (uv_tcp expected, got nil)"):format(name),
        helper.message(left[name]))
    end
  end))
end)
