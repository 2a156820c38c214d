-- `require "uvjobs.policy"`: how functions are called that may fail, take long, or ask too
-- much of somebody. docs/policies.md describes it. A file of this directory is one kind of
-- policy; frame.lua says how a new one is made.

local policy = {
  breaker = require "uvjobs.policy.breaker",
  compose = require "uvjobs.policy.compose",
  debounce = require "uvjobs.policy.debounce",
  hedge = require "uvjobs.policy.hedge",
  limit = require "uvjobs.policy.limit",
  rate = require "uvjobs.policy.rate",
  retry = require "uvjobs.policy.retry".new,
  single = require "uvjobs.policy.single",
  timeout = require "uvjobs.policy.timeout",
}

return policy
