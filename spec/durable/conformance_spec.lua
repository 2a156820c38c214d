-- The promises of durable jobs (D1 to D28), for every store that is there.

-- Lua registers the types of C modules when they are loaded, which must be before the helper.
pcall(require, "uvjobs.store.sqlite")
pcall(require, "uvjobs.store.postgres")
require "uvjobs.schedule"

local base = require "spec.helper"
local stores = require "spec.durable.stores"

local PARTS <const> = {
  "storing", "keys", "running", "retrying", "claiming", "fences", "crashes", "looking", "closing",
  "transactions", "schedules", "walk",
}

for _, kind in ipairs(stores) do
  describe("the store " .. kind.name, function()
    after_each(base.check_clean)
    for _, part in ipairs(PARTS) do
      -- It needs the environment in which busted has its functions.
      local define = assert(loadfile("spec/durable/conformance/" .. part .. ".lua", "t", _ENV))()
      describe(part, function() define(kind) end)
    end
  end)
end
