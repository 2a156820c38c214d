-- How many columns of a terminal a text takes, for bars and for `uvjobs top`.

local columns = require "uvjobs.columns"
local screen = require "uvjobs.inspect.screen"
local text = require "uvjobs.progress.text"

local function cut(...) return (columns.cut(...)) end

describe("the columns of a text", function()
  it("are one for each letter, two for East Asian ones and pictures, none for marks", function()
    for sample, width in pairs {
      [""] = 0, plain = 5, ["ürün"] = 4, ["日本語"] = 6, ["한국"] = 4, ["ｆｕ"] = 4, ["🙂!"] = 3,
      ["e\u{301}"] = 1, ["→"] = 1, ["\u{10ffff}"] = 1,
    } do
      assert.equal(width, columns.width(sample), sample)
    end
  end)

  it("are the bytes of what is no UTF-8", function()
    assert.equal(3, columns.width "\xff\xfea")
    assert.equal("\xff\xfe", cut("\xff\xfea", 2))
  end)

  it("are never more than a text is cut to, and no character is cut apart", function()
    local sample = "a日e\u{301}本🙂ü語z"
    for most = -1, 15 do
      local short, width = columns.cut(sample, most)
      assert.equal(width, columns.width(short))
      assert.is_true(width <= math.max(most, 0), most)
      assert.truthy(utf8.len(short))
      assert.equal(short, sample:sub(1, #short))
    end
    assert.equal(sample, cut(sample, 12))
    assert.equal("a日", cut(sample, 3))
    assert.equal("a", cut(sample, 2))
  end)

  it("of a bar and of a line of top are no more than the terminal has", function()
    local progress = {
      count = 50, total = 100, label = ("日本語"):rep(5), unit = "files", began = 0, rate = 1,
    }
    for width = 2, 120 do
      local ok, line = pcall(text.bar, progress, 1, width)
      assert.is_true(ok, line)
      assert.is_true(columns.width(line) <= width, line)
      assert.is_true(columns.width(screen.cut(progress.label, width)) <= width)
    end
  end)
end)
