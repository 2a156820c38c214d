-- How a process keeps its tasks: it says in time that it is alive, and when it could not for
-- two thirds of its lease, it ends their jobs, before others may take them (D9). Times are of
-- the monotonic clock, from before a renewal was sent: the store's lease begins later.

local core = require "uvjobs.core"
local options = require "uvjobs.durable.options"

core.own_source()

local uvjobs = core.public

local lease = {}

local FENCE <const> = 2 / 3 -- of the lease: jobs are told to end
local BEAT <const> = 1      -- seconds, and a third of the lease at most
local SHORTEST <const> = 0.1 -- seconds

--- The request by which a worker becomes a process.
function lease.join_request(work)
  return { op = "join", lease = options.microseconds(work._options.lease) }
end

--- The store has answered what was sent at a time.
function lease.renewed(work, sent)
  if not work._renewed or sent > work._renewed then work._renewed = sent end
end

--- The process has been declared dead: what it ran may run elsewhere.
function lease.lost(work)
  work._process = nil
  work:_lose_all(0)
end

-- ---- saying so ---------------------------------------------------------------------

local function beat(work)
  local sent, process = uvjobs.now(), work._process
  local result = work._store:_call({
    op = "beat", process = process, lease = options.microseconds(work._options.lease),
  }, work._patience)
  if work._process ~= process then return end
  if not result.alive then
    lease.lost(work)
    return
  end
  lease.renewed(work, sent)
  for _, id in ipairs(result.cancelling) do work:_cancel(id) end
end

-- Beats once in a while. Under the virtual clock no other process waits for it, so an idle
-- one does not beat: years pass in no time.
local function beat_on(work)
  local is_virtual = core.is_virtual()
  local period = is_virtual and work._options.lease / 3 or math.min(BEAT, work._options.lease / 3)
  while true do
    if is_virtual then work._busy:wait() end
    uvjobs.sleep(period)
    if work._process then
      local ok, err = pcall(beat, work)
      if not ok and (uvjobs.code(err) ~= "unavailable" or core.interrupted()) then error(err, 0) end
    end
  end
end

-- ---- when it could not -------------------------------------------------------------

-- Gives the process up if it is time to; returns when it is.
local function look(work)
  local span, now = work._options.lease, uvjobs.now()
  local over = work._renewed + span
  local fence = over - span * (1 - FENCE)
  if work._process and now >= fence then
    work._left, work._process = work._process, nil
    work:_lose_all(math.max(over - now, 0) / 2)
    work:_hint(true)
  end
  return fence
end

-- It runs only while there are tasks to lose.
local function watch(work)
  while true do
    work._busy:wait()
    local fence = look(work)
    uvjobs.sleep(math.max(fence - uvjobs.now(), SHORTEST))
  end
end

--- Whether tasks that a process has taken may be begun: an answer may come so late that the
--- process has given itself up, or has to.
function lease.holds(work, process)
  if work._store._shared and work._process then look(work) end
  return work._process == process
end

--- Starts what keeps the lease, where other processes share the store.
function lease.start(work)
  if not work._store._shared then return end
  work._service:try_spawn({ name = "keeps the lease" }, beat_on, work)
  work._service:try_spawn({ name = "watches the lease" }, watch, work)
end

return lease
