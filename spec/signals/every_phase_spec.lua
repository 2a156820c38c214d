-- SIGINT and SIGTERM in every phase of a run, in processes of their own: the first one lets
-- the clean-up run, the second one ends the process at once.

-- What is made at the first use must be made before the helper is loaded, which counts.
local kill = require "spec.signals.helper"
local phases = require "spec.signals.phases"
local uvjobs = require "uvjobs"
local has_http = pcall(require, "uvjobs.http")
local helper = require "spec.helper"

-- What the command prints to standard error.
local TEXT <const> = { sigint = "uvjobs: interrupted", sigterm = "uvjobs: terminated" }

--- Plays a script that is sent `first` when it says "ready", and `second`, if that is given,
--- when it says "holding".
local function play(phase, first, second)
  return uvjobs.run(function()
    return uvjobs.timeout(50, kill.play, {
      script = phase.script, command = not phase.plain, hold = second ~= nil,
      on_line = function(process, line)
        if line == "ready" then
          process:signal(first)
          if phase.go ~= false then process:send "go" end
        elseif line == "holding" then
          process:signal(second)
        end
      end,
      may_leave = function() return second ~= nil end,
    })
  end)
end

for _, phase in ipairs(phases) do
  local test = (not phase.http or has_http) and it or pending
  describe("a signal " .. phase.name, function()
    after_each(helper.check_clean)

    for signal, status in pairs(kill.STATUS) do
      test(("lets the clean-up run, and ends with %d #M7"):format(status), function()
        local r = play(phase, signal)
        local expected = { "ready", table.unpack(phase.out) }
        for i, line in ipairs(expected) do
          expected[i] = line:gsub("SIGNAL", signal:upper())
        end
        if phase.any_order then table.sort(expected) table.sort(r.out) end
        assert.same(expected, r.out)
        assert.same({ code = status, signal = 0, left = false },
          { code = r.code, signal = r.signal, left = r.left })
        if phase.plain then return assert.equal("", r.err) end
        -- The command names the function that was at work, too.
        local first, rest = r.err:match "^([^\n]*)\n(.*)$"
        assert.equal(TEXT[signal], first)
        assert.is_true(rest == "" or rest:find "^stack traceback:\n" ~= nil, rest)
      end)

      test(("ends it at once with %d when it is the second"):format(status), function()
        local other = signal == "sigint" and "sigterm" or "sigint"
        local r = play(phase, other, signal)
        local lines = table.concat(r.out, "\n") .. "\n"
        assert.matches("\nholding\n", lines)
        assert.not_matches("released", lines)
        assert.same({ code = status, signal = 0, err = "" },
          { code = r.code, signal = r.signal, err = r.err })
      end)
    end
  end)
end

-- ---- where the main job is not there to be cancelled ---------------------------------

describe("a signal in the final drain", function()
  after_each(helper.check_clean)

  -- The main job has ended; a job cleans up, and reads two lines for that.
  local DRAIN <const> = [[
    local s = uvjobs.scheduler { close_timeout = 600 }
    s:spawn(function()
      local _ <close> = closing(function(_, err)
        uvjobs.protect(function()
          local pipe <close> = stdin()
          say "ready"
          say("first", pipe:read_some():match "%w+")
          say("second", pipe:read_some():match "%w+")
        end)
        say("job", uvjobs.code(err))
      end)
      uvjobs.sleep(600)
    end)
    uvjobs.yield()
  ]]

  local function drain(signal, twice)
    return uvjobs.run(function()
      return uvjobs.timeout(50, kill.play, {
        script = DRAIN, command = true,
        on_line = function(process, line)
          if line == "ready" or line == "first go" and twice then process:signal(signal) end
          if line == "ready" or line == "first go" and not twice then process:send "go" end
        end,
      })
    end)
  end

  for signal, status in pairs(kill.STATUS) do
    it("lets the clean-up run to its end: " .. signal .. " #M7", function()
      local r = drain(signal)
      assert.same({ "ready", "first go", "second go", "job cancelled" }, r.out)
      assert.equal(0, r.signal)
      assert.is_false(r.left)
    end)

    it(("ends it at once with %d when it is the second"):format(status), function()
      local r = drain(signal, true)
      assert.same({ "ready", "first go" }, r.out)
      assert.same({ code = status, signal = 0, err = "" },
        { code = r.code, signal = r.signal, err = r.err })
    end)
  end
end)

describe("a signal that the script catches", function()
  after_each(helper.check_clean)

  it("leaves the script's own status", function()
    local r = play({ script = [[
      local ok, err = pcall(function()
        local _ <close> = cleaning "main"
        say "ready"
        uvjobs.sleep(600)
      end)
      say(tostring(ok), err.signal)
      uvjobs.sleep(0)
    ]] }, "sigterm")
    assert.same({ "ready", "main cancelled", "false SIGTERM" }, r.out)
    assert.equal(143, r.code) -- the next call that suspends has raised it again
  end)
end)

-- ---- where signals are not ours -------------------------------------------------------

local HOSTS <const> = {
  ["before run"] = [[
    local _ <close> = cleaning "script"
    say "ready"
    while true do end
  ]],
  ["after run"] = [[
    local _ <close> = cleaning "script"
    uvjobs.run(uvjobs.sleep, 0)
    say "ready"
    while true do end
  ]],
  ["with signals = false"] = [[
    run({ signals = false }, function()
      local _ <close> = cleaning "main"
      say "ready"
      uvjobs.sleep(600)
    end)
  ]],
  ["in luv's loop, attached"] = [[
    local _ = uvjobs.attach(luv)
    uvjobs.start(function()
      local _ <close> = cleaning "main"
      say "ready"
      uvjobs.sleep(600)
    end)
    luv.run()
  ]],
  ["in a host's loop"] = [[
    local job = uvjobs.start(function()
      local _ <close> = cleaning "main"
      say "ready"
      uvjobs.sleep(600)
    end)
    while not job.closed do uvjobs.step() end
  ]],
}

for place, script in pairs(HOSTS) do
  it("SIGTERM " .. place .. " has its usual effect", function()
    local r = play({ plain = true, script = script }, "sigterm")
    assert.same({ "ready" }, r.out)
    assert.same({ signal = 15, err = "" }, { signal = r.signal, err = r.err })
  end)
end

for _, place in ipairs { "before run", "after run" } do
  it("SIGINT " .. place .. " is the interpreter's", function()
    local r = play({ plain = true, script = HOSTS[place] }, "sigint")
    assert.same({ code = 1, signal = 0 }, { code = r.code, signal = r.signal })
    assert.matches("interrupted!", r.err)
    assert.matches("^script ", r.out[2])
  end)
end

it("a host that cancels its job on a signal lets the clean-up run", function()
  local r = play({ plain = true, script = [[
    local attached = uvjobs.attach(luv)
    local job
    local handle = luv.new_signal()
    handle:start("sigterm", function() job:cancel() end)
    job = uvjobs.start(function()
      local _ <close> = cleaning "main"
      say "ready"
      uvjobs.sleep(600)
    end)
    handle:unref()
    luv.run()
    say(job.state)
    attached:close()
    handle:close()
    luv.run()
  ]] }, "sigterm")
  assert.same({ "ready", "main cancelled", "cancelled" }, r.out)
  assert.same({ code = 0, signal = 0, err = "" }, { code = r.code, signal = r.signal, err = r.err })
end)
