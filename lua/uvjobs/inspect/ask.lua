-- Asks a process, and reads its answer.

local core = require "uvjobs.core"
local lines = require "uvjobs.inspect.lines"
local processes = require "uvjobs.inspect.processes"

core.own_source()

local ask = {}

-- How long a process may take to open its socket, and to answer, in seconds. Of many at once
-- those are left out that take longer than is comfortable.
local OPEN_S <const> = 3
local ALL_OPEN_S <const> = 0.3
local ANSWER_S <const> = 40
local LOOK_S <const> = 0.005

-- ---- finding the process -----------------------------------------------------------------

local STATES <const> = {
  T = "it is stopped, and answers when it goes on: kill -CONT %d",
  t = "it is stopped by a debugger",
  Z = "it has ended",
  X = "it has ended",
}

-- Why a process cannot be asked, or nil.
local function why_not(process)
  local user = core.user()
  if process.user ~= user and user ~= 0 then
    return ("it is not yours: it is of user %d"):format(process.user)
  end
  if STATES[process.state] then return STATES[process.state]:format(process.pid) end
  if not processes.has_module(process.pid) and not process.hears then
    return ("there is no uvjobs in it (%s)"):format(process.command)
  end
  if not process.hears then return "nothing runs in it now that lets itself be asked" end
end

-- ---- the socket ---------------------------------------------------------------------------

-- There is no socket of the process, or one that it has left behind, or a place that another
-- user has taken.
local IS_ABSENT <const> = { ENOENT = true, ECONNREFUSED = true, EPERM = true, EACCES = true }

-- Asks by the first socket that answers.
local function try(process, question)
  local answer, problem, message
  for _, path in ipairs(processes.sockets(process)) do
    answer, problem, message = core.ask(path, question, ANSWER_S, process.user)
    if answer or not IS_ABSENT[problem] then break end
  end
  return answer, problem, message
end

-- Why a process that was called has no socket.
local function why_no_socket(process, problem)
  if problem == "EPERM" then return "another user has taken the place of its socket" end
  if process.is_contained then
    return "it does not open a socket here: it is in a container, where it has to be asked"
  end
  return "it does not open a socket: it may be that it has run{ inspect = false }, no memory or "
    .. "descriptor for one, or is not allowed to"
end

-- Calls the process if it has no socket, and waits for that.
local function ask_process(process, question)
  local answer, problem, message = try(process, question)
  local waited = 0
  while not answer and IS_ABSENT[problem] do
    if waited == 0 then
      local called, _, refusal = core.call_process(process.pid)
      if not called then return nil, "it cannot be called by a signal: " .. refusal end
    elseif waited > OPEN_S then
      return nil, why_no_socket(process, problem)
    end
    core.nap(LOOK_S)
    waited = waited + LOOK_S
    answer, problem, message = try(process, question)
  end
  return answer, message
end

local function has_socket(process)
  for _, path in ipairs(processes.sockets(process)) do
    if core.ask(path, "hello", ANSWER_S, process.user) then return true end
  end
  return false
end

--- Calls processes that have no socket, all at once. Returns those that can be asked then, and
--- those that are stopped.
---@param list uvjobs.inspect.Process[]
---@return uvjobs.inspect.Process[]
function ask.call_all(list)
  local wanted, found = {}, {}
  for i, process in ipairs(list) do
    found[i] = STATES[process.state] ~= nil or not why_not(process) and has_socket(process)
    wanted[i] = not found[i] and not why_not(process) and core.call_process(process.pid)
  end
  local waited = 0
  repeat
    local waits = false
    for i, process in ipairs(list) do
      found[i] = found[i] or wanted[i] and has_socket(process)
      waits = waits or wanted[i] and not found[i]
    end
    if waits then core.nap(LOOK_S) end
    waited = waited + LOOK_S
  until not waits or waited > ALL_OPEN_S
  local able = {}
  for i, process in ipairs(list) do
    if found[i] then able[#able + 1] = process end
  end
  return able
end

--- Asks a process a question.
---@param pid integer
---@param question string
---@return string? answer lines, the last of them "end"
---@return string? problem why there is none
---@return boolean? has_ended the process is not there any more
function ask.process(pid, question)
  local process = processes.get(pid)
  if not process then return nil, ("there is no process %d"):format(pid), true end
  local refusal = why_not(process)
  if refusal then return nil, ("process %d: %s"):format(pid, refusal) end
  local answer, problem = ask_process(process, question)
  if not answer then
    -- It may have been stopped, or have ended, meanwhile.
    local now = processes.get(pid)
    problem = now and STATES[now.state] and STATES[now.state]:format(pid)
      or not now and "it has ended" or problem
    return nil, ("process %d: %s"):format(pid, problem), now == nil
  end
  local failure = ("\n" .. answer):match "\nerror\t([^\n]*)\n$"
  if failure then return nil, ("process %d: %s"):format(pid, failure) end
  if answer:sub(-4) ~= "end\n" then
    return nil, ("process %d: it has ended, or broken off"):format(pid), true
  end
  return answer
end

--- Cancels a job, if the program allows that.
---@param pid integer
---@param id string|integer the number of the job
---@param loop string|integer? the number of its loop, when the process has several
---@return string? answer
---@return string? problem why it was not done
function ask.cancel(pid, id, loop)
  return ask.process(pid, loop and ("cancel %s of %s"):format(id, loop) or "cancel " .. id)
end

-- ---- a look ------------------------------------------------------------------------------

---@class uvjobs.inspect.Loop
---@field fields table<string, string>
---@field schedulers table<string, string>[] by their numbers
---@field jobs table<string, string>[] in the order of their numbers
---@field by_id table<string, table<string, string>>
---@field circles string[][] numbers of jobs
---@field kinds table<string, string>[] how many jobs wait for what; only of "top"
---@field queues table<string, string>[] queues of tasks

local take = {}

function take.scheduler(loop, fields)
  loop.schedulers[tonumber(fields.number)] = fields
end

function take.job(loop, fields)
  if not loop.by_id[fields.id] then loop.jobs[#loop.jobs + 1] = fields end
  loop.by_id[fields.id] = fields
end

function take.queue(loop, fields)
  loop.queues[#loop.queues + 1] = fields
end

function take.kind(loop, fields)
  loop.kinds[#loop.kinds + 1] = fields
end

function take.circle(loop, fields)
  local circle = {}
  for id in fields.jobs:gmatch "%d+" do circle[#circle + 1] = id end
  loop.circles[#loop.circles + 1] = circle
end

--- Reads the answer to a look.
---@param answer string
---@return uvjobs.inspect.Loop[]
function ask.read(answer)
  local loops = {}
  for line in answer:gmatch "[^\n]+" do
    local word, fields = lines.decode(line)
    if word == "loop" then
      loops[#loops + 1] = { fields = fields, schedulers = {}, jobs = {}, by_id = {}, circles = {},
        kinds = {}, queues = {} }
    elseif take[word] and #loops > 0 then
      take[word](loops[#loops], fields)
    end
  end
  return loops
end

-- A process that is asked counts the tasks of its queues only then. This is how long that is waited
-- for, and how old a count may be, in seconds.
local COUNT_S <const> = 0.5
local OLD_S <const> = 2

local function is_counting(loops)
  for _, loop in ipairs(loops) do
    for _, queue in ipairs(loop.queues) do
      if queue.counting and tonumber(queue.counted or math.huge) > OLD_S then return true end
    end
  end
  return false
end

--- Looks at a process, and waits a little until the tasks of its queues are counted.
---@param pid integer
---@param question? string
---@return uvjobs.inspect.Loop[]? loops
---@return string? problem
---@return boolean? has_ended
function ask.look_patiently(pid, question)
  local over = core.monotonic() + COUNT_S
  while true do
    local loops, problem, has_ended = ask.look(pid, question)
    if not loops or not is_counting(loops) or core.monotonic() > over then
      return loops, problem, has_ended
    end
    core.nap(COUNT_S / 10)
  end
end

--- Looks at a process.
---@param pid integer
---@param question? string "look" for all jobs, "tree" for those that do the same
--- together, or "top KEY N" for some
---@return uvjobs.inspect.Loop[]? loops
---@return string? problem
---@return boolean? has_ended
function ask.look(pid, question)
  local answer, problem, has_ended = ask.process(pid, question or "look")
  if not answer then return nil, problem, has_ended end
  return ask.read(answer)
end

return ask
