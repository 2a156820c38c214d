-- uvjobs.attach when luv fails, and what it returns when it is misused.
local luv = require "luv"
local uvjobs = require "uvjobs"
local helper = require "spec.helper"
local guard = require "spec.guard"

local message, attach = helper.message, uvjobs.attach

-- The first call makes what stays.
attach(luv):close()

describe("uvjobs.attach", function()
  after_each(helper.check_clean)

  it("does nothing when luv fails, and can be called again", function()
    local before = guard.handles()
    for name, broken in pairs {
      new_poll = function() error "no memory" end,
      new_idle = function() return nil, "EMFILE: too many open files" end,
    } do
      local broken_uv = setmetatable({ [name] = broken }, { __index = luv })
      local _, err = pcall(attach, broken_uv)
      assert.matches("cannot attach: .*%a", err)
      assert.equal(before, guard.handles())
      assert.equal("ran", uvjobs.run(function() return "ran" end))
    end
    attach(luv):close()
    assert.equal(before, guard.handles())
  end)

  it("works when step has driven luv before", function()
    uvjobs.fd()
    local timer = luv.new_timer()
    timer:start(0, 0, function() timer:close() end)
    repeat uvjobs.step() until timer:is_closing()
    local _ <close> = attach(luv)
    local job = uvjobs.start(uvjobs.sleep, 0.001)
    luv.run()
    assert.equal("done", job.state)
  end)

  it("lets go of what it has made before the Lua state closes", function()
    for _, code in ipairs {
      "uvjobs.attach(luv):close()",
      "pcall(uvjobs.attach, setmetatable({ new_poll = error }, { __index = luv }))",
      "local _ <close> = uvjobs.attach(luv) uvjobs.start(uvjobs.sleep, 0.01) luv.run()",
    } do
      local child = helper.child("local luv, uvjobs = require 'luv', require 'uvjobs' " .. code)
      assert.equal(0, child.status, code)
    end
  end)

  it("returns something whose close checks what it is called on", function()
    local attachment <close> = attach(luv)
    assert.equal("bad self to 'close' (uvjobs.Attachment expected, got nil)",
      message(attachment.close))
    assert.equal("bad self to 'close' (uvjobs.Attachment expected, got table)",
      message(attachment.close, {}))
  end)
end)
