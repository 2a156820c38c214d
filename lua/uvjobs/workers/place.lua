-- In which thread of workers a job runs, and what a job of the program does for it.

local core = require "uvjobs.core"
local fns = require "uvjobs.workers.fn"

core.own_source()

local uvjobs = core.public

local place = {}

-- One that is stuck is taken when all are.
local function load_of(one)
  return one.is_stuck and math.huge or one.active
end

--- The thread with the fewest jobs; they take turns, where several have as few.
function place.idlest(self)
  local members, turn = self._members, self._turn
  local n, best = #members, nil
  for i = turn + 1, turn + n do
    local one = members[(i - 1) % n + 1]
    if not best or load_of(one) < load_of(best) then best = one end
    if load_of(best) == 0 then break end
  end
  self._turn = best.index
  return best
end

--- The thread of a key: jobs of one key are all in one.
function place.of_key(self, key)
  local members, hash = self._members, 0
  local text <const> = ("%s"):format(key)
  for i = 1, #text do hash = (hash * 31 + text:byte(i)) & 0xffffffff end
  return members[hash % #members + 1]
end

--- What a thread is asked for to begin a job. Raises what core.pack() raises.
---@param of_job table
---@param fn function
---@return userdata packed
function place.request(of_job, fn, ...)
  return core.pack {
    "spawn", fns.code(fn), of_job.name or false, of_job.timeout or false, select("#", ...), ...,
  }
end

--- Begins a job in a thread and ends as it does: the calling job stands for it. Suspends.
---@param one uvjobs.workers.Member the thread
---@param packed userdata what place.request() has made
function place.run(self, one, packed)
  if self._ended then error(core.make_error("closed", "the workers are closed"), 0) end
  local call <close> = one:begin(packed)
  core.set_thread(one.index)
  self._calls[uvjobs.current()] = call
  return call:finish()
end

--- The same in a thread by its number, for a job of any scheduler, with no name there.
---@param index integer
---@param fn function without upvalues
function place.run_in(self, index, fn, ...)
  return place.run(self, self._members[index], place.request({}, fn, ...))
end

return place
