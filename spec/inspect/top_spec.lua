-- What `uvjobs top` shows, and what its keys do.

local answer = require "uvjobs.inspect.answer"
local ask = require "uvjobs.inspect.ask"
local helper = require "spec.helper"
local outside = require "spec.inspect.helper"
local process = require "spec.process"
local screen = require "uvjobs.inspect.screen"
local top = require "uvjobs.inspect.top"
local uvjobs = require "uvjobs"

local virtual = helper.virtual

--- A view of this process, which can be asked without another one.
local function view_of(control)
  local view = top.view(0)
  view.title, view.cancelled = "uvjobs top: process 4711: shop.lua", {}
  function view.ask(question)
    return ask.read(answer(question, { control = control }))
  end
  function view.cancel(id)
    table.insert(view.cancelled, id)
    return true
  end
  assert(top.look(view))
  return view
end

--- What is shown, with places and numbers that differ from run to run made equal.
local function shown(view, width, height)
  local list, first = {}, math.huge
  for _, row in ipairs(screen.rows(view)) do first = math.min(first, tonumber(row.job.id)) end
  for i, line in ipairs(screen.lines(view, width, height)) do
    assert.is_true(utf8.len(line.text) <= width)
    list[i] = line.text:gsub("%s+$", "")
  end
  assert.equal(height, #list)
  return (table.concat(list, "\n"):gsub("#(%d+)", function(id)
    return "#" .. tonumber(id) - first + 1
  end):gsub("%f[^\n] *(#%d+)", function(id)
    return ("%7s"):format(id) -- the column of the numbers
  end):gsub("[^ ]*top_spec.lua:%d+", "SPEC"))
end

local function press(view, keys)
  for key in keys:gmatch "." do top.press(view, key) end
end

-- A program with jobs of several kinds, at two seconds.
local function in_shop(fn)
  return function()
    virtual(function()
      local shop <close> = helper.quiet { name = "shop", limit = 3 }
      local queue = uvjobs.queue()
      shop:spawn({ name = "till" }, function() queue:get() end)
      shop:spawn({ name = ("long"):rep(20) }, function() for _ = 1, 5 do uvjobs.sleep(1) end end)
      shop:spawn({ name = "ürün" }, function() uvjobs.sleep(9) end)
      shop:spawn({ name = "next" }, function() end)
      uvjobs.sleep(2.5)
      fn(shop)
      shop:close()
    end)
  end
end

describe("the screen", function()
  it("shows all jobs in 80 columns and 24 rows", in_shop(function()
    assert.equal([[
uvjobs top: process 4711: shop.lua
5 jobs, 4 active, 1 pending: 2 sleep, 1 get, 1 run, 1 slot
schedulers: main 1/inf, shop 3/3+1
     ID NAME       SCHED     *AGE    RAN  READY   RUNS WAITS FOR
     #1 main       main      2.5s      -      -      2 runs
     #2 till       shop      2.5s      -      -      1 an item of a queue
     #3 longlongl~ shop      2.5s      -      -      3 sleeps, 0.5 s left
     #4 ürün       shop      2.5s      -      -      1 sleeps, 6.5 s left
     #5 next       shop      2.5s      -      -      0 a slot of scheduler "sho~














q quit  j/k select  by: a age u ran r ready n runs  w why  c cancel  space pause]],
      shown(view_of(), 80, 24))
  end))

  it("shows more of them in 200 columns", in_shop(function()
    local text = shown(view_of(), 200, 50)
    assert.matches("\n +ID +NAME +SCHED +STATE +%*AGE +RAN +READY +RUNS +WAITS FOR +AT\n", text)
    assert.matches("\n +#2 till +shop +active +2.5s +%- +%- +1 an item of a queue +SPEC\n", text)
    assert.matches("\n +#5 next +shop +pending +2.5s +%- +%- +0 a slot of scheduler "
      .. '"shop", taken by #', text)
  end))

  it("fits any size", in_shop(function()
    local view = view_of()
    for width = 1, 300, 13 do
      for _, height in ipairs { 1, 3, 5, 24, 300 } do
        local lines = screen.lines(view, width, height)
        assert.equal(height, #lines)
        for _, line in ipairs(lines) do assert.is_true(utf8.len(line.text) <= width) end
      end
    end
  end))

  it("shows those that wait for each other, and the part with the selected job", function()
    virtual(function()
      local bank <close> = helper.quiet { name = "bank" }
      local jobs = {}
      for i = 1, 2 do
        jobs[i] = bank:spawn(function() uvjobs.sleep(1) jobs[i % 2 + 1]:wait() end)
      end
      for _ = 1, 100 do bank:spawn(uvjobs.sleep, 9) end
      uvjobs.sleep(2)
      local view = view_of()
      local text = shown(view, 80, 24)
      assert.matches("\nthese jobs wait for each other, each for the next: #2, #3, #2\n", text)
      assert.matches("\n +#1 main", text)
      for _ = 1, 200 do press(view, "j") end
      local last = screen.lines(view, 80, 24)
      assert.equal("selected", last[23].style)
      press(view, "a")
      assert.equal(1, view.selected)
      bank:close()
    end)
  end)
end)

describe("the times of jobs", function()
  it("are shown when they are measured, and the longest come first", function()
    uvjobs.run({ clock = "virtual", stats = true }, function()
      local shop <close> = helper.quiet { name = "shop" }
      for i = 1, 3 do
        shop:spawn({ name = "j" .. i }, function() uvjobs.sleep(9) end)
      end
      uvjobs.sleep(2.5)
      local text = shown(view_of(), 80, 24)
      assert.matches("\n +#2 j1 +shop +2.5s +[%d.]+s +[%d.]+s +1 sleeps, 6.5 s left\n", text)
      shop:close()
    end)
  end)
end)

describe("a key", function()
  it("sorts", in_shop(function()
    local view = view_of()
    press(view, "n")
    assert.is_true(view.wants_look)
    assert(top.look(view))
    local before = math.huge
    for _, row in ipairs(screen.rows(view)) do
      assert.is_true(tonumber(row.job.resumes) <= before)
      before = tonumber(row.job.resumes)
    end
    assert.matches("%*RUNS", shown(view, 80, 24))
    for key, column in pairs { u = "RAN", r = "READY", a = "AGE" } do
      press(view, key)
      assert(top.look(view))
      assert.matches("%*" .. column, shown(view, 80, 24))
    end
  end))

  it("selects, pauses and ends", in_shop(function()
    local view = view_of()
    press(view, "kkj")
    assert.equal(2, view.selected)
    top.press(view, "\27[A")
    assert.equal(1, view.selected)
    press(view, " ")
    assert.matches("\npaused  q quit", shown(view, 80, 24))
    press(view, "xyz")
    assert.is_nil(view.over)
    press(view, "q")
    assert.is_true(view.over)
  end))

  it("says why the selected job does not go on", in_shop(function()
    local view = view_of()
    press(view, "jjjjw")
    assert.matches('\njob +#%-?%d+ "next": it waits for a slot of scheduler "shop"',
      shown(view, 80, 24))
    press(view, "w")
    assert.matches("\n +ID NAME", shown(view, 80, 24))
  end))

  it("cancels only after a question, and only if the program allows it #I16", in_shop(function()
    local view = view_of()
    press(view, "c")
    assert.matches("\nthe program does not allow it: run{ inspect = { control = true } }$",
      shown(view, 80, 24))
    view = view_of(true)
    press(view, "jc")
    assert.matches('\ncancel job +#%-?%d+ "till"%? %(y/n%)$', shown(view, 80, 24))
    press(view, "n")
    press(view, "cq")
    press(view, "y")
    assert.same({}, view.cancelled)
    assert.is_nil(view.over)
    local id = screen.rows(view)[2].job.id
    press(view, "cy")
    assert.same({ id }, view.cancelled)
  end))
end)

-- ---- as a process ------------------------------------------------------------------------

local PROGRAM <const> = [[
  local uvjobs = require "uvjobs"
  uvjobs.run({ inspect = { control = true } }, function()
    local shop = uvjobs.scheduler { name = "shop" }
    local job = shop:spawn({ name = "sale" }, uvjobs.sleep, 60)
    io.stdout:write "ready\n":flush()
    job:join()
    print(job.state)
    io.stdout:flush()
    uvjobs.sleep(60)
  end)]]

describe("uvjobs top", function()
  it("prints once where the output is no terminal", function()
    local self <close> = outside.start(PROGRAM)
    self:wait_for "ready"
    local out, complaint, status = outside.uvjobs("top " .. self.pid)
    assert.same({ "", 0 }, { complaint, status })
    assert.matches("^uvjobs top: process %d+: [^\n]*\n2 jobs, 2 active, 0 pending: ", out)
    assert.matches("\n +#2 sale +shop +", out)
  end)

  it("shows changes, cancels, and leaves the terminal as it was #I15", function()
    if os.execute "tmux -V >/dev/null 2>&1" ~= true then return pending "needs tmux" end
    local self <close> = outside.start(PROGRAM)
    self:wait_for "ready"
    local socket = os.tmpname()
    os.remove(socket)
    local tmux = "env -u TMUX tmux -f /dev/null -S " .. socket .. " "
    local function pane(options)
      local pipe <close> = io.popen(tmux .. "capture-pane -p " .. (options or "") .. " 2>&1")
      return pipe:read "a"
    end
    local function wait_for(pattern, options)
      return outside.eventually(function() return pane(options):find(pattern) end)
    end
    local _ <close> = setmetatable({}, { __close = function()
      os.execute(tmux .. "kill-server 2>/dev/null")
    end })
    assert(os.execute(tmux .. "new-session -d -x 80 -y 24 /bin/sh"))
    local function send(text) assert(os.execute(tmux .. "send-keys " .. text)) end
    send(process.quote(process.command() .. " bin/uvjobs top " .. self.pid) .. " Enter")
    wait_for "\n +#2 sale +shop +"
    send "j"
    send "c"
    wait_for 'cancel job #2 "sale"%? %(y/n%)\n'
    send "y"
    self:wait_for "cancelled"
    wait_for "job #2 is cancelled"
    outside.eventually(function() return not pane():find "#2 sale" end)
    send "q"
    wait_for("bin/uvjobs top %d+", "-J") -- lines of the shell are wrapped where paths are long
    send "'stty -a | grep -o \"[-]*icanon\"' Enter"
    wait_for "\nicanon\n"
  end)

  it("looks again so early that a change is shown within a second #I15", function()
    for _, took in ipairs { 0, 0.1, 0.3 } do
      -- What changes just after a look is seen by the next one, which takes as long.
      assert.is_true(top.pause_after(took) + 2 * took <= 1)
    end
    assert.equal(0.25, top.pause_after(30))
  end)

  it("says so when the process has ended", function()
    local out, complaint, status = outside.uvjobs "top 2147483647"
    assert.same({ "", "uvjobs: there is no process 2147483647\n", 1 }, { out, complaint, status })
  end)
end)
