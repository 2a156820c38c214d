-- uvjobs.progress on a terminal: what a person sees in the end.

local files = require "spec.files"
local process = require "spec.process"

--- What a terminal shows that got this text: its lines, without empty ones at the end. It knows
--- what the bars use: new lines, and going up and clearing a line.
local function screen_of(raw)
  local lines, row = { "" }, 1
  raw = raw:gsub("\r\n", "\n")
  while raw ~= "" do
    local command = raw:match "^\27%[%d*[AK]"
    if command == "\27[1A" then
      row = row - 1
    elseif command == "\27[2K" then
      lines[row] = ""
    elseif raw:find "^\n" then
      row, command = row + 1, "\n"
      lines[row] = lines[row] or ""
    else
      command = raw:match "^[^\n\27]+"
      lines[row] = lines[row] .. command
    end
    raw = raw:sub(#command + 1)
  end
  return (table.concat(lines, "\n"):gsub("\n+$", ""))
end

--- Runs a script on a terminal of its own, of 60 columns and 6 rows.
local function on_terminal(script, env)
  local path = files.temporary('local uvjobs = require "uvjobs"\n' .. script)
  local command_line = process.command(process.sanitizer() .. " " .. (env or ""))
  local inner = ("stty cols 60 rows 6; %s %s"):format(command_line, path)
  local command = "env -u LD_PRELOAD TERM=xterm script -qec %s /dev/null </dev/null"
  local pipe <close> = assert(io.popen(command:format(process.quote(inner))))
  local raw = pipe:read "a"
  os.remove(path)
  return raw
end

describe("uvjobs.progress on a terminal", function()
  it("draws bars below the lines that are printed, which stay whole", function()
    local raw = on_terminal [[
      uvjobs.run({ clock = "virtual" }, function()
        local a <close> = uvjobs.progress { total = 4, label = "a" }
        local b <close> = uvjobs.progress { total = 2, label = "b" }
        for i = 1, 4 do
          uvjobs.sleep(1)
          a:add()
          if i % 2 == 0 then b:add() end
          print("line " .. i)
        end
        io.stdout:write "" -- the bars are there still
        os.exit(0)
      end)]]
    assert.equal([[
line 1
line 2
line 3
line 4
[======================] a: 4 of 4 (100 %), 1.0/s, 0 s left
[======================] b: 2 of 2 (100 %), 0.5/s, 0 s left]], screen_of(raw))
  end)

  it("leaves one line of each, in the order in which they end", function()
    local raw = on_terminal [[
      uvjobs.run({ clock = "virtual" }, function()
        local a = uvjobs.progress { total = 1, label = "a" }
        local b <close> = uvjobs.progress { label = "b" }
        uvjobs.sleep(1)
        a:add()
        a:close()
        print "between"
      end)
      print "after"]]
    assert.equal("a: 1 of 1 (100 %), 1.0/s, in 1 s\nbetween\nb: 0, in 1 s\nafter", screen_of(raw))
  end)

  it("counts those for which there is no room", function()
    local raw = on_terminal [[
      uvjobs.run({ clock = "virtual" }, function()
        for i = 1, 9 do BARS = { BARS, uvjobs.progress { label = "bar " .. i } } end
        os.exit(0)
      end)]]
    assert.equal("bar 1: 0\nbar 2: 0\nbar 3: 0\nbar 4: 0\nand 5 more", screen_of(raw))
  end)

  it("gives print back, unless the program has set another one", function()
    local raw = on_terminal [[
      local first = print
      local bar = uvjobs.progress()
      assert(print ~= first)
      bar:close()
      assert(print == first)
      local other <close> = uvjobs.progress()
      print = error
      other:close()
      assert(print == error)]]
    assert.equal("0, in 0 s\n0, in 0 s", screen_of(raw))
  end)

  it("works by a print that the program has kept, also when there are no bars any more", function()
    local raw = on_terminal [[
      local bar = uvjobs.progress { label = "bar" }
      local kept = print
      bar:close()
      kept "without bars"
      print = function(...) kept("mine:", ...) end
      local other <close> = uvjobs.progress { label = "other" }
      print "with bars"]]
    assert.equal("bar: 0, in 0 s\nwithout bars\nmine:\twith bars\nother: 0, in 0 s",
      (screen_of(raw):gsub("mine: +", "mine:\t")))
  end)

  it("shows the bars again when print raises", function()
    local raw = on_terminal [[
      local bar = uvjobs.progress { label = "bar" }
      local bad = setmetatable({}, { __tostring = function() error "bad" end })
      assert(not pcall(print, bad))
      os.exit(0)]]
    assert.equal("bar: 0", screen_of(raw))
  end)

  it("writes plain lines when TERM is dumb", function()
    local raw = on_terminal("local bar <close> = uvjobs.progress { label = 'x' }", "TERM=dumb")
    assert.equal("x: 0, in 0 s\r\n", raw)
  end)
end)
