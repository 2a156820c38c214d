-- What runs in a thread of workers: a loop, whose main job spawns what is asked for and
-- answers how that has ended. This is another Lua state than that of the program.

local core = require "uvjobs.core"
local uvjobs = require "uvjobs"
local outcome = require "uvjobs.workers.outcome"

core.own_source()

-- A job that computes gives way after so many seconds, also one that a job here has spawned in a
-- scheduler of its own: so the thread hears of requests, and its other jobs have their turns.
local SLICE <const> = 0.005

local mailbox, jobs, spec
local by_id <const> = {} -- the jobs that are not answered
local ids <const> = {}   -- their numbers

-- ---- the Lua state -----------------------------------------------------------------

-- These change the whole process.
local function refuse(place, title, name)
  place[name] = function()
    error(("'%s.%s' cannot be called in a worker"):format(title, name), 2)
  end
end

local function refuse_of_process()
  refuse(os, "os", "exit")
  refuse(os, "os", "setlocale")
  refuse(uvjobs, "uvjobs", "exit")
end

local function refuse_modules(names)
  local refused = {}
  for _, name in ipairs(names) do refused[name] = true end
  table.insert(package.searchers, 1, function(name)
    if refused[name] then
      error(("module '%s' is for the main thread only (option 'main_only')"):format(name), 0)
    end
  end)
end

-- A job reads the globals of the state, but those that it sets are its own.
local OF_STATE <const> = { __index = _G }

local function load_function(code)
  return assert(load(code, nil, "b", setmetatable({}, OF_STATE)))
end

-- ---- jobs --------------------------------------------------------------------------

local function answer(id, value)
  local ok, problem = pcall(mailbox.answer, mailbox, id, value)
  if not ok then mailbox:answer(id, outcome.failed(problem)) end
end

local function ended(job)
  local id = ids[job]
  if not id then return end
  ids[job], by_id[id] = nil, nil
  answer(id, outcome.of(job))
end

local requests <const> = {}

function requests.spawn(id, m)
  local job = jobs:try_spawn({ name = m[3] or nil, timeout = m[4] or nil, report = false },
    load_function(m[2]), table.unpack(m, 6, 5 + m[5]))
  if not job then
    answer(id, outcome.CANCELLED)
  else
    ids[job], by_id[id] = id, job
  end
end

-- The calling job has that many seconds left, or as many as it likes.
function requests.cancel(_, m)
  local job = by_id[m[2]]
  if not job then return end
  if m[3] then core.begin_close_job(job, m[3]) else job:cancel() end
  if job.closed then ended(job) end -- it had not begun
end

function requests.traceback(id, m)
  local job = by_id[m[2]]
  answer(id, { job and job:traceback() })
end

function requests.answer(id)
  answer(id, outcome.DONE)
end

function requests.stats(id)
  answer(id, {
    jobs = #jobs, memory = math.floor(collectgarbage "count" * 1024), cpu_time = mailbox:cpu_time(),
  })
end

-- ---- the thread --------------------------------------------------------------------

local start_id, end_id -- the numbers of these requests
local started, ends    -- events
local main             -- the main job, until it has set up the state; then nil

function requests.start(id)
  start_id = id
  started:set()
end

function requests.finish(id)
  end_id = id
end

local function receive()
  for id, m in function() return mailbox:receive() end do
    local ok, problem = pcall(requests[m[1]], id, m) -- without memory, say
    if not ok and id ~= 0 then answer(id, outcome.failed(problem)) end
  end
  if end_id or mailbox:ends() then
    ends:set()
    if main then core.begin_close_job(main, spec.close_timeout) end
  end
end

local function set_up()
  if not spec.setup then return outcome.DONE end
  local fn <const> = load_function(spec.setup)
  debug.setupvalue(fn, 1, _G) -- what it sets is there for all jobs
  local traceback
  local ok, err = xpcall(fn, function(err)
    traceback = debug.traceback(nil, 2)
    return err
  end, spec.index)
  return ok and outcome.DONE or outcome.failed(err, traceback)
end

local Serving = {}

function Serving.__close()
  core.serve(mailbox, nil)
end

local function new_jobs()
  return uvjobs.scheduler {
    name = spec.name, limit = math.huge, close_timeout = spec.close_timeout,
    on_end = ended, exception_handler = function() end, -- the program has one
  }
end

local function serve()
  main, started, ends, jobs = uvjobs.current(), uvjobs.event(), uvjobs.event(), new_jobs()
  local _ <close> = setmetatable({}, Serving)
  core.serve(mailbox, receive, ("thread %d of workers%s"):format(
    spec.index, spec.name and (' "%s"'):format(spec.name) or ""))
  started:wait()
  local result = set_up()
  main = nil
  mailbox:answer(start_id, result)
  ends:wait()
  jobs:close()
end

-- What has not been answered never will be otherwise.
local function answer_rest(problem)
  for id in pairs(by_id) do answer(id, outcome.failed(problem)) end
  if main and start_id then answer(start_id, outcome.failed(problem)) end
  if end_id then answer(end_id, outcome.DONE) end
end

--- Runs until the thread is to end.
---@param of_thread userdata the mailbox
---@param given table index, setup, close_timeout, main_only, memory_limit, name
return function(of_thread, given)
  mailbox, spec = of_thread, given
  outcome.is_limited = spec.memory_limit ~= nil
  refuse_of_process()
  refuse_modules(spec.main_only)
  core.set_default_timeslice(SLICE)
  local ok, err = xpcall(uvjobs.run, debug.traceback,
    { signals = false, close_timeout = spec.close_timeout, timeslice = SLICE }, serve)
  answer_rest(ok and "the thread has ended" or err)
end
