-- The bytes that are kept between calls, against a string.
local buffer = require "uvjobs.uv.buffer"

-- A random text with many ends of lines, and pieces of it.
local function random_text(random)
  local bytes = {}
  for i = 1, random(0, 60) do bytes[i] = ("\n\rxyz"):sub(random(5)):sub(1, 1) end
  return table.concat(bytes)
end

local function take_line_of(text, max)
  local at = text:find("\n", 1, true)
  if not at then
    local size = #text
    return nil, size > max and (size > max + 1 or text:sub(-1) ~= "\r") or nil, text
  end
  local line = text:sub(1, at - 1):gsub("\r$", "")
  if #line > max then return nil, true, text end
  return line, nil, text:sub(at + 1)
end

-- assert.equal() would take longer than what is tested.
local function equal(expected, got, seed)
  if got ~= expected then
    error(("seed %d: %s expected, got %s"):format(seed, tostring(expected), tostring(got)))
  end
end

describe("a buffer", function()
  it("gives what a string gives, however its pieces are cut", function()
    for seed = 1, 3000 do
      math.randomseed(seed)
      local text, kept, model = random_text(math.random), buffer.new(), ""
      while text ~= "" or model ~= "" do
        local what = math.random(4)
        if what == 1 and text ~= "" then
          local n = math.random(#text)
          kept:add(text:sub(1, n))
          model, text = model .. text:sub(1, n), text:sub(n + 1)
        elseif what == 2 then
          local max = math.random(4) == 1 and math.huge or math.random(0, 9)
          local line, too_long, rest = take_line_of(model, max)
          local got, got_too_long = kept:take_line(max)
          equal(line, got, seed)
          equal(too_long, got_too_long, seed)
          model = rest
        elseif what == 3 then
          local n = math.random(0, #model)
          equal(model:sub(1, n), kept:take(n), seed)
          model = model:sub(n + 1)
        elseif model ~= "" then
          local piece = kept:take_piece()
          equal(model:sub(1, #piece), piece, seed)
          model = model:sub(#piece + 1)
        end
        equal(#model, kept.size, seed)
      end
    end
  end)

  it("keeps nothing of what was taken", function()
    local kept = buffer.new()
    for _ = 1, 1000 do
      kept:add("line\nha")
      kept:add("lf\n")
      assert.equal("line", kept:take_line(9))
      assert.equal("half", kept:take_line(9))
    end
    assert.same({}, kept.parts)
  end)
end)
