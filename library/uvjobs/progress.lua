---@meta uvjobs.progress
-- luacheck: ignore 212 241

--- How far something is: to be closed. None of its methods suspends.
---@class uvjobs.Progress
---@field count number how much is done
---@field total? number
---@field label? string
---@field unit? string
local Progress = {}

--- So much more is done.
---@param n? number >= 0; default 1
function Progress:add(n) end

--- So much is done.
---@param n number >= 0
function Progress:set(n) end

---@param n? number >= 0; nil when it is not known
function Progress:set_total(n) end

---@param label? string
function Progress:set_label(label) end

--- Its last line stays. Closing it again does nothing.
function Progress:close() end

return Progress
