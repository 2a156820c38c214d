-- `require "uvjobs.policy"`: how functions are called that may fail, take long, or ask too
-- much of somebody. docs/policies.md describes it. A file of this directory is one kind of
-- policy; frame.lua says how a new one is made.

local policy = {
  compose = require "uvjobs.policy.compose",
  hedge = require "uvjobs.policy.hedge",
  retry = require "uvjobs.policy.retry".new,
  timeout = require "uvjobs.policy.timeout",
}

return policy
