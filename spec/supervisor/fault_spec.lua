-- Supervisors whose own rules fail. Only a lack of memory does that in earnest, which
-- spec/starve plays; here a function of the rules that raises an error stands for it.
local helper = require "spec.helper"

-- Runs a program in a process of its own, as the errors are written to standard error, too.
-- In it, fail(name) lets that function of the rules fail from now on, once.
local function output_of(body)
  local child = helper.child([[
    local uvjobs = require "uvjobs"
    local function forever()
      local _ <close> = setmetatable({}, { __close = function() io.write "closed, " end })
      uvjobs.sleep(1e6)
    end
    local function crash() uvjobs.sleep(1) error("oh no", 0) end
    local function new(options)
      options = options or {}
      options.backoff, options.exception_handler = 1, function() end
      return uvjobs.supervisor(options)
    end
    local function fail(name)
      local Intensity = require "uvjobs.supervisor.intensity"
      local before = Intensity[name]
      Intensity[name] = function()
        Intensity[name] = before
        error("no memory", 0)
      end
    end
    uvjobs.run({ clock = "virtual" }, function() ]] .. body .. [[ end)]])
  assert.equal(0, child.status, child.err)
  return child.out, child.err
end

describe("a supervisor whose rules fail", function()
  it("when a child has crashed closes the others, and wait raises the error", function()
    for _, strategy in ipairs { "one_for_one", "one_for_all", "rest_for_one" } do
      local out, err = output_of([[
        local service = new { strategy = "]] .. strategy .. [[" }
        service:start { name = "a", forever }
        service:start { name = "b", crash }
        fail "add"
        local ok, err = pcall(service.wait, service)
        io.write(tostring(ok), " ", err, " ", tostring(service.closed))]])
      assert.equal("closed, false no memory true", out)
      assert.equal("error in a supervisor: no memory\n", err)
    end
  end)

  it("in the middle of a round ends, too", function()
    local out = output_of [[
      local service = new { strategy = "one_for_all" }
      service:start { crash }
      service:start { forever }
      fail "start_clock"
      local ok, err = pcall(service.wait, service)
      io.write(tostring(ok), " ", err)]]
    assert.equal("closed, false no memory", out)
  end)

  it("in a call raises the error there, and `closed` in the calls of others", function()
    local out, err = output_of [[
      local service = new()
      local one = service:start { name = "a", forever }
      uvjobs.yield()
      fail "stop_clock"
      local ok, err = pcall(service.restart, service, "a")
      io.write(tostring(ok), " ", err, ", ")
      ok, err = pcall(service.start, service, { forever })
      io.write(uvjobs.code(err), " ", err.cause, ", ")
      ok, err = pcall(service.wait, service)
      io.write(tostring(ok), " ", err, ", ", one.state)]]
    assert.equal("false no memory, closed no memory, closed, false no memory, ended", out)
    assert.equal("", err)
  end)

  it("is ended later when that fails at first, too", function()
    for times = 1, 5 do
      local out = output_of(([[
        local service = new()
        service:start { forever }
        service:start { name = "b", crash }
        fail "add"
        local core, left = require "uvjobs.core", %d
        local close_child = core.close_child
        function core.close_child(...)
          if left == 0 then return close_child(...) end
          left = left - 1
          error("no memory to end it", 0)
        end
        local ok, err = pcall(service.wait, service)
        io.write(tostring(ok), " ", err, " ", uvjobs.now(), " ", left)]]):format(times))
      assert.equal("closed, false no memory 1 0", out)
    end
  end)

  it("raises that error at the end of its block", function()
    local out = output_of [[
      local ok, err = pcall(function()
        local service <close> = new()
        service:start { crash }
        fail "add"
        uvjobs.sleep(5)
      end)
      io.write(tostring(ok), " ", err)]]
    assert.equal("false no memory", out)
  end)

  it("fails as a child of another, which starts it again #S10", function()
    local out = output_of [[
      local service <close> = new()
      local inner = service:start { name = "inner", supervisor = {} }
      inner:start { name = "x", crash }
      fail "add"
      uvjobs.sleep(2.5)
      local one = service:child "inner"
      io.write(one.restarts, " ", one.last_error, " ", one.state, " ", inner:child "x".state)]]
    assert.equal("1 no memory running running", out)
  end)
end)
