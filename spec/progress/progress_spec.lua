-- uvjobs.progress where standard error is no terminal, and what it refuses.

local process = require "spec.process"
local text = require "uvjobs.progress.text"
local uvjobs = require "uvjobs"

--- Runs a script under the virtual clock, with `bar` made by these options.
local function told(options, script)
  local result = process.run(([[
    local uvjobs = require "uvjobs"
    uvjobs.run({ clock = "virtual" }, function()
      local bar <close> = uvjobs.progress(%s)
      %s
    end)]]):format(options, script))
  assert.equal(0, result.status, result.err)
  return result.err
end

describe("uvjobs.progress in a log", function()
  it("writes a line now and then, and one at the end", function()
    assert.equal([[
import: 3 of 12 files (25 %), 0.5/s, 18 s left
import: 6 of 12 files (50 %), 0.5/s, 12 s left
import: 9 of 12 files (75 %), 0.5/s, 6 s left
import: 12 of 12 files (100 %), 0.5/s, 0 s left
import: 12 of 12 files (100 %), 0.5/s, in 24 s
]], told('{ total = 12, label = "import", unit = "files" }',
      "for _ = 1, 12 do uvjobs.sleep(2) bar:add() end"))
  end)

  it("counts without a total", function()
    assert.equal("1.5 KiB, 768 B/s, in 2 s\n",
      told('{ unit = "bytes" }', "bar:add(1536) uvjobs.sleep(2)"))
  end)

  it("says nothing when it is silent, or when the environment says so", function()
    assert.equal("", told("{ silent = true, every = 0 }", "bar:add()"))
    local result = process.run([[
      local uvjobs = require "uvjobs"
      uvjobs.run(function()
        local bar <close> = uvjobs.progress()
        bar:add()
      end)]], "UVJOBS_PROGRESS=0")
    assert.equal("", result.err)
  end)

  it("changes its total and its label", function()
    assert.equal([[
a: 1 of 2 (50 %)
b: 1 of 2 (50 %)
b: 1 of 4 (25 %)
b: 3 of 4 (75 %)
b: 3
b: 3, in 0 s
]], told('{ total = 2, label = "a", every = 0 }', [[
      bar:add()
      bar:set_label "b"
      bar:set_total(4)
      bar:set(3)
      bar:set_total(nil)]]))
  end)

  it("keeps texts on one line, and commands for terminals out of it", function()
    assert.equal("a b [1m: 0 c d, in 0 s\n", told('{ label = "a\\nb\\27[1m", unit = "c\\td" }', ""))
    assert.equal("ä 2J: 0, in 0 s\n", told('{ label = "ä\\u{9b}2J" }', ""))
  end)

  it("is closed once, and says nothing more afterwards", function()
    assert.equal("1\n1, in 0 s\n", told("{ every = 0 }", "bar:set(1)"))
    assert.equal("0, in 0 s\n", told("{ every = 0 }", "bar:close() bar:add() bar:close()"))
  end)

  it("ends when nobody refers to it any more", function()
    assert.equal("0, in 0 s\n0, in 0 s\n", told("", "uvjobs.progress() collectgarbage()"))
  end)

  it("leaves print alone", function()
    local result = process.run [[
      local uvjobs = require "uvjobs"
      local before = print
      local bar <close> = uvjobs.progress()
      assert(print == before)
      print "hello"]]
    assert.equal("hello\n", result.out)
  end)
end)

describe("map, each and exec", function()
  it("count what they have done", function()
    uvjobs.run({ clock = "virtual" }, function()
      local bar <close> = uvjobs.progress { silent = true }
      uvjobs.map({ 1, 2, 3 }, uvjobs.yield, { progress = bar })
      assert.same({ 3, 3 }, { bar.count, bar.total })
      local other <close> = uvjobs.progress { silent = true, total = 9 }
      uvjobs.each({ 1, 2 }, uvjobs.yield, { progress = other })
      assert.same({ 2, 9 }, { other.count, other.total })
    end)
  end)

  it("count bytes of standard output", function()
    uvjobs.run(function()
      local bar <close> = uvjobs.progress { silent = true, unit = "bytes" }
      uvjobs.exec("printf", { "hello" }, { progress = bar })
      assert.equal(5, bar.count)
    end)
  end)

  it("do not count a call that fails", function()
    uvjobs.run(function()
      local bar <close> = uvjobs.progress { silent = true }
      pcall(uvjobs.map, { 1 }, function() error "no" end, { progress = bar })
      assert.equal(0, bar.count)
    end)
  end)

  it("refuse what is no progress", function()
    uvjobs.run(function()
      assert.has_error(function() uvjobs.map({}, print, { progress = true }) end,
        "bad argument #3 to 'map' (option 'progress': uvjobs.Progress expected, got boolean)")
    end)
  end)
end)

describe("uvjobs.progress", function()
  local function refused(message, options)
    assert.has_error(function() uvjobs.progress(options) end,
      "bad argument #1 to 'progress' (" .. message .. ")")
  end

  it("refuses options that are none", function()
    refused("table expected, got number", 5)
    refused("unknown option 'totl', did you mean 'total'?", { totl = 5 })
    refused("option 'total': finite number >= 0 expected, got -1", { total = -1 })
    refused("option 'total': finite number >= 0 expected, got nan", { total = 0 / 0 })
    refused("option 'total': finite number >= 0 expected, got inf", { total = math.huge })
    refused("option 'label': string expected, got boolean", { label = true })
    refused("option 'every': seconds >= 0 or math.huge expected, got -1", { every = -1 })
  end)

  it("refuses amounts that are none, and changes nothing then", function()
    local bar <close> = uvjobs.progress { silent = true }
    for value, shown in pairs { [-1] = "-1", [math.huge] = "inf", x = "'x'" } do
      assert.has_error(function() bar:add(value) end,
        ("bad argument #1 to 'add' (finite number >= 0 expected, got %s)"):format(shown))
      assert.has_error(function() bar:set(value) end,
        ("bad argument #1 to 'set' (finite number >= 0 expected, got %s)"):format(shown))
    end
    assert.has_error(function() bar:add(0 / 0) end)
    assert.equal(0, bar.count)
  end)

  it("takes every finite amount, of every unit", function()
    for _, unit in ipairs { "files", "bytes" } do
      local progress = { began = 0, unit = unit, total = 10 }
      for _, n in ipairs { 0, 0.5, 10, 1023.5, 1e15, 2 ^ 53, 1e300, math.maxinteger } do
        progress.count = n
        assert.matches("^%d", text.line(progress, 1))
        assert(#text.line(progress, 1) < 80)
        progress.count, progress.total = 1, n
        assert.matches(" of %d", text.line(progress, 1))
      end
    end
    assert.equal("0.5 B, 1 B/s", text.line({ began = 0, unit = "bytes", count = 0.5 }, 1))
    assert.equal("1e+300, 1e+300/s", text.line({ began = 0, count = 1e300 }, 1))
  end)

  it("counts on where integers end", function()
    local bar <close> = uvjobs.progress { silent = true }
    bar:add(math.maxinteger)
    bar:add(1)
    assert.equal(2.0 ^ 63, bar.count)
  end)

  it("refuses a self that is none, and properties that there are not", function()
    local bar <close> = uvjobs.progress { silent = true }
    assert.has_error(function() bar.add(5) end,
      "bad self to 'add' (uvjobs.Progress expected, got number)")
    assert.error_matches(function() return bar.conut end, "did you mean 'count'%?")
    assert.error_matches(function() bar.count = 5 end, "cannot be set")
  end)
end)

describe("the text of a progress", function()
  local function state(fields)
    return setmetatable(fields, { __index = { count = 0, began = 0 } })
  end

  it("fits every width, and has a bar where there is room", function()
    local progress = state { label = "düne", total = 7, count = 3 }
    local without = utf8.len(text.line(progress, 60))
    for columns = 1, 200 do
      local line = text.bar(progress, 60, columns)
      assert(utf8.len(line) <= columns, columns)
      assert.equal(columns >= without + 9, line:find("%[=") ~= nil, columns)
    end
  end)

  it("is right at the ends, and beyond", function()
    assert.matches("^%[=+%] 7 of 7 %(100 %%%)", text.bar(state { total = 7, count = 7 }, 1, 80))
    assert.matches("^%[ +%] 0 of 7 %(0 %%%)", text.bar(state { total = 7 }, 1, 80))
    assert.matches("^%[=+%] 9 of 7 %(100 %%%)", text.bar(state { total = 7, count = 9 }, 1, 80))
    assert.matches("^%[=+%] 0 of 0 %(100 %%%)", text.bar(state { total = 0 }, 1, 80))
    assert.equal("\255\255", text.bar(state { label = "\255\255\255" }, 1, 2))
  end)

  it("gives durations in words", function()
    assert.same({ "0 s", "59 s", "1:00", "59:59", "1:00:00", "277777:46:40" }, {
      text.duration(0), text.duration(59.4), text.duration(60), text.duration(3599),
      text.duration(3600), text.duration(math.huge) })
  end)
end)
