-- What some events and schedulers of the library stand for: so that a look at a job which
-- waits for a child of a supervisor names that child, and not the event behind it. The parts
-- that make them say so here, and need not be loaded for a look.

local core = require "uvjobs.core"

core.own_source()

local things = {}

local known = setmetatable({}, { __mode = "k" }) -- by thing: how it is explained, and what it is

---@class uvjobs.insight.Explanation
---@field text string what whoever waits for the thing waits for, as a clause
---@field jobs? uvjobs.Job[] which of them must go on, as far as that is known; nil for none
---@field needs? "all"|"any"|"none" see uvjobs.insight.Record
---@field likely? "all"|"any" the same, when nothing else is to be expected, but possible

--- Says what a thing stands for.
---@generic T
---@param thing userdata
---@param explain fun(subject: T): any an Explanation for an event; for a scheduler, a list of
---  lines about it
---@param subject T
function things.know(thing, explain, subject)
  known[thing] = { explain, subject }
end

--- What a thing stands for now, or nil when nothing was said.
---@param thing userdata
---@return any explanation
function things.explain(thing)
  local entry = known[thing]
  if entry then return entry[1](entry[2]) end
end

return things
