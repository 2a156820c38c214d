-- Tables of options are read without their metatables: what a table inherits is not checked, so it
-- must not be used either.

local durable = require "uvjobs.durable"
local insight = require "uvjobs.insight"
local schedule = require "uvjobs.schedule"
local testing = require "uvjobs.testing"
local uvjobs = require "uvjobs"

-- Options that inherit some that would be refused, or change what is done.
local function inheriting(own, others) return setmetatable(own, { __index = others }) end

local function ignore() end

local CASES <const> = {
  map = function()
    return #uvjobs.map({ 1 }, ignore, inheriting({}, { limit = "x", progress = 7, on = 7 }))
  end,
  each = function() uvjobs.each({ 1 }, ignore, inheriting({}, { limit = -1, on_result = 7 })) end,
  progress = function()
    local _ <close> = uvjobs.progress(inheriting({ silent = true }, { total = "x", unit = {} }))
  end,
  every = function()
    local jobs <close> = uvjobs.scheduler()
    jobs:every(5, inheriting({}, { overlap = "x", jitter = {} }), ignore):stop()
  end,
  cron = function()
    schedule.cron("* * * * *", inheriting({ zone = "UTC" }, { gap = 7 })):next(0)
  end,
  supervisor = function()
    local _ <close> = uvjobs.supervisor(inheriting({}, { strategy = "x", intensity = {} }))
  end,
  store = function()
    local store <close> = durable.open("memory:", inheriting({}, { args_limit = "x" }))
    store:define("k", inheriting({}, { attempts = "x", backoff = "x" }), ignore)
    store:enqueue("k", nil, inheriting({}, { delay = "x", key = {} }))
    for task in store:tasks(inheriting({}, { limit = "x", kind = "y" })) do
      assert.equal("k", task.kind)
    end
    local _ <close> = store:work(inheriting({}, { lease = "x", queues = 7 }))
  end,
  cancel_everywhere = function()
    testing.cancel_everywhere(inheriting({ limit = 3 }, { by = "x", setup = 7 }), uvjobs.yield)
  end,
  exec = function()
    local result = uvjobs.exec("true", {}, inheriting({}, { cwd = 7, timeout = "x", env = "y" }))
    assert.is_true(result.ok)
  end,
  trace = function()
    local ok, err = pcall(insight.trace, inheriting({}, { file = "/nonexistent/x" }))
    assert.is_false(ok)
    assert.matches("option 'file' is missing", err)
  end,
}

describe("a table of options", function()
  for name, fn in pairs(CASES) do
    it("is read without its metatable by " .. name, function()
      if name == "cancel_everywhere" then return fn() end
      uvjobs.run(fn)
    end)
  end
end)
