-- SIGINT and SIGTERM while a job computes, in child processes.

local helper = require "spec.helper"

local root = io.popen("pwd"):read("l")

-- The beginning of every script. computes_for_ever(name) starts a process that soon sends a signal
-- to this one.
local PRELUDE = [[
  local uvjobs = require "uvjobs"
  io.stdout:setvbuf("no")
  local pid = io.open("/proc/self/stat"):read("n")
  local senders = {} -- which are not collected before the end
  -- os.execute() would ignore a SIGINT that comes before the shell has ended.
  local function send(name)
    senders[#senders + 1] = io.popen(("sleep 0.02; kill -%s %d 2>/dev/null"):format(name, pid))
  end
  local function closing(handler) return setmetatable({}, { __close = handler }) end
  local function computes_for_ever(name)
    if name then send(name) end
    while true do end
  end
]]

-- Runs the text as a script under bin/uvjobs.
local function command(text)
  local path = os.tmpname()
  local file = assert(io.open(path, "w"))
  file:write(PRELUDE, text)
  file:close()
  local r = helper.child(("arg = { %q, [0] = 'uvjobs' } dofile %q"):format(
    path, root .. "/bin/uvjobs"))
  os.remove(path)
  return r
end

describe("the command with a script that computes", function()
  for name, expected in pairs {
    INT = { status = 130, text = "interrupted" }, TERM = { status = 143, text = "terminated" },
  } do
    it(("ends with %d after SIG%s, and says where it was"):format(expected.status, name), function()
      local r = command(([[
        local _ <close> = closing(function(_, err) print("outer", uvjobs.code(err), err.signal) end)
        local _ <close> = closing(function(_, err) print("inner", uvjobs.code(err), err.signal) end)
        computes_for_ever "%s"
      ]]):format(name))
      local line = ("\tcancelled\tSIG%s\n"):format(name)
      assert.equal("inner" .. line .. "outer" .. line, r.out)
      assert.equal(expected.status, r.status)
      assert.equal("uvjobs: " .. expected.text, r.err:match("^[^\n]*"))
      assert.matches("\nstack traceback:\n", r.err)
      assert.matches("'computes_for_ever'", r.err)
    end)
  end

  it("ends normally when the script caught it", function()
    local r = command [[
      local _, err = pcall(computes_for_ever, "INT")
      print(uvjobs.code(err), err.signal)
    ]]
    assert.same({ status = 0, out = "cancelled\tSIGINT\n", err = "" }, r)
  end)
end)

describe("a signal while a job computes", function()
  for name, status in pairs { INT = 130, TERM = 143 } do
    it(("ends a main job that swallows it when a second comes: SIG%s"):format(name), function()
      local r = helper.child(PRELUDE .. ([[
        uvjobs.run(function()
          local count = 0
          while true do
            local ok, err = pcall(computes_for_ever, "%s")
            count = count + 1
            print("caught", count, uvjobs.code(err), err.signal)
          end
        end)
      ]]):format(name))
      assert.equal(("caught\t1\tcancelled\tSIG%s\n"):format(name), r.out)
      assert.equal(status, r.status)
    end)
  end

  for _, timeslice in ipairs { "math.huge", "0.002" } do
    for _, interrupt in ipairs { "SIGURG", "count" } do
      local by = (", timeslice %s, by %s"):format(timeslice, interrupt)

      it("reaches the main job that waits for it" .. by, function()
        local r = helper.child(PRELUDE .. ([[
          local job
          local ok, err = pcall(uvjobs.run, { interrupt = "%s" }, function()
            local s <close> = uvjobs.scheduler { timeslice = %s, close_timeout = 30 }
            job = s:spawn(function()
              local _ <close> = closing(function(_, err) print("job", uvjobs.code(err)) end)
              computes_for_ever "INT"
            end)
            local _ <close> = closing(function(_, err) print("main", uvjobs.code(err)) end)
            job:wait()
          end)
          print(ok, uvjobs.code(err), err.signal, job.state)
        ]]):format(interrupt, timeslice))
        assert.same({
          status = 0, err = "",
          out = "main\tcancelled\njob\tcancelled\nfalse\tcancelled\tSIGINT\tcancelled\n",
        }, r)
      end)

      it("ends the run when it swallows every error #M8" .. by, function()
        local r = helper.child(PRELUDE .. ([[
          local job
          local ok, err = pcall(uvjobs.run, { interrupt = "%s" }, function()
            local s <close> = uvjobs.scheduler {
              timeslice = %s, close_timeout = 0.02,
              exception_handler = function(_, context) print(context.message) end,
            }
            job = s:spawn(function()
              local _ <close> = closing(function(_, err) print("job", uvjobs.code(err)) end)
              pcall(computes_for_ever, "TERM")
              while true do pcall(pcall, computes_for_ever) end
            end)
            uvjobs.sleep(60)
          end)
          print(ok, uvjobs.code(err), err.signal, job.state)
        ]]):format(interrupt, timeslice))
        assert.same({
          status = 0, err = "",
          out = "job\tkilled\nJob closing timed out\nfalse\tcancelled\tSIGTERM\tkilled\n",
        }, r)
      end)
    end
  end

  it("closes a job where it cannot be preempted", function()
    local r = helper.child(PRELUDE .. [[
      local job
      local ok, err = pcall(uvjobs.run, function()
        local s <close> = uvjobs.scheduler { close_timeout = 0.02, exception_handler = type }
        job = s:spawn(function()
          send "INT"
          while true do pcall(table.sort, { 3, 2, 1 }, function() computes_for_ever() end) end
        end)
        uvjobs.sleep(60)
      end)
      print(ok, err.signal, job.closed)
    ]])
    assert.same({ status = 0, out = "false\tSIGINT\ttrue\n", err = "" }, r)
  end)
end)
