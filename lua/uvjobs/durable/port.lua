-- How an operation gets to the engine of a store, and its answer back: by a call, or into
-- the thread in which the engine lives. docs/durable-stores.md describes engines.

local core = require "uvjobs.core"

core.own_source()

local uvjobs = core.public

local port = {}

local PATIENCE <const> = 5 -- seconds: see ask()
local LOOK <const> = 1     -- seconds between two looks whether a transaction is over
local THREAD <const> = "uvjobs.durable.thread"

-- ---- answers -----------------------------------------------------------------------

-- Returns the value of an answer, or raises what it says.
local function value_of(answer)
  if type(answer) == "string" then error("the thread of the store failed: " .. answer, 0) end
  local code = answer.code
  if code == nil then return answer.value end
  if code == "misuse" then error(answer.message, 0) end
  local err = core.make_error(code, answer.message)
  if answer.stored ~= nil then core.set_stored(err, answer.stored) end
  error(err, 0)
end

-- ---- inline ------------------------------------------------------------------------

local Inline = {}
Inline.__index = Inline

-- Whether a transaction of another job excludes this request.
local function must_wait(engine, request)
  local number = engine:transaction()
  return number and request.tx ~= number
end

function Inline:call(request)
  if core.interrupted() then uvjobs.yield() end
  while must_wait(self.engine, request) do
    self.free:clear()
    self.free:wait(LOOK)
  end
  return self:tell(request)
end

--- Asks without waiting, where a job cannot suspend any more.
function Inline:tell(request)
  local answer = self.engine:perform({ request })[1]
  if not self.engine:transaction() then self.free:set() end
  return value_of(answer)
end

--- Asks from no job: `on_answer(answer)` is called with what the engine answers, in this call.
--- Raises while a transaction excludes it.
function Inline:peek(request, on_answer)
  if must_wait(self.engine, request) then error("a transaction is open", 0) end
  on_answer(self.engine:perform({ request })[1])
end

function Inline:close()
  self.engine:close()
end

local function clock_of_loop()
  return {
    date = function() return math.floor(uvjobs.time() * 1e6) end,
    now = function() return math.floor(uvjobs.now() * 1e6) end,
  }
end

-- Raises what an engine has raised when it was opened.
local function raise_of_open(err)
  if type(err) == "table" and err.code then value_of(err) end
  error(err, 0)
end

local function open_inline(module, location, options)
  local ok, engine = pcall(module.open, location, options, clock_of_loop())
  if not ok then raise_of_open(engine) end
  return setmetatable({ engine = engine, free = uvjobs.event() }, Inline)
end

-- ---- in a thread -------------------------------------------------------------------

local Threaded = {}
Threaded.__index = Threaded

-- A request that a job waits for. As a to-be-closed variable it forgets the job, however
-- that leaves; what it has begun then is undone when the answer comes.
local Asked = {}

function Asked.__close(asked)
  if not asked.id then return end
  local undo = asked.answer == nil and asked.patience and asked.patience.undo
  if undo then
    asked.resume = function() undo(asked.answer) end
  else
    asked.waiting[asked.id] = nil
  end
end

local function hear(self, id, answer)
  if id == 0 then
    self.on_hint(answer)
    return
  end
  local asked = self.waiting[id]
  if not asked then return end
  self.waiting[id] = nil
  asked.answer = answer
  asked.resume()
end

local function await_answer(asked)
  return uvjobs.await(function(resume)
    asked.resume = resume
    if asked.answer ~= nil then resume() end
  end)
end

-- The job is to end, or its deadline has passed. What the thread has not taken has not
-- happened. Otherwise the answer is waited for, because it may say that something is
-- stored; for so long that only a store that does not answer is given up.
local function leave(self, asked, err)
  if not asked.id or self.service:withdraw(asked.id) then
    asked.patience = nil -- no answer comes
    error(err, 0)
  end
  local patience = asked.patience and asked.patience.seconds or self.patience
  pcall(uvjobs.protect, uvjobs.timeout, patience, await_answer, asked)
  if asked.answer == nil then
    if uvjobs.code(err) then core.set_stored(err, "unknown") end
    error(err, 0)
  end
end

local function ask(self, request, patience)
  local asked <close> = setmetatable({ waiting = self.waiting, patience = patience }, Asked)
  local ok, err = pcall(uvjobs.await, function(resume)
    asked.resume = resume
    asked.id = self.service:ask(request)
    self.waiting[asked.id] = asked
  end)
  if not ok and asked.answer == nil then leave(self, asked, err) end
  return asked.answer
end

--- Asks, and waits for the answer.
---@param request table
---@param patience? { seconds?: number, undo?: function } how long a job waits for an answer that
---  has an error of its own by then; it may be changed meanwhile, and counts from that error on.
---  When the job is gone by then, undo(answer) is called in none.
function Threaded:call(request, patience)
  return value_of(ask(self, request, patience))
end

function Threaded:tell(request)
  self.service:ask(request)
end

--- Asks from no job: `on_answer(answer)` is called later, in no job either.
function Threaded:peek(request, on_answer)
  local asked = {}
  function asked.resume() on_answer(asked.answer) end
  asked.id = self.service:ask(request)
  self.waiting[asked.id] = asked
end

-- The engine is closed by its thread, while the loop goes on. Only one that does not answer is
-- waited for by the loop, and then the thread must end by itself.
function Threaded:close()
  self.patience = 0
  if core.can_suspend() then
    pcall(uvjobs.protect, uvjobs.timeout, self.closing, self.call, self, { op = "close" })
  end
  self.service:close()
end

local function open_in_thread(name, location, options, on_hint, closing)
  local self = setmetatable({
    waiting = {}, on_hint = on_hint, patience = PATIENCE, closing = closing or PATIENCE,
  }, Threaded)
  self.service = core.service(THREAD, { module = name, location = location, options = options },
    function(id, answer) hear(self, id, answer) end)
  local ok, err = pcall(self.call, self, { op = "open" })
  if not ok then
    self.service:close()
    error(err, 0)
  end
  return self
end

-- ---- opening -----------------------------------------------------------------------

--- Opens a store. Suspends when its engine has a thread.
---@param name string of the module of the engine
---@param module table that module
---@param location string
---@param options table
---@param on_hint fun(hint: string[]|true|table) is called in no job: other processes may have
---  added tasks to these queues; or a table with a `warning`
---@return table port with the methods call(request), tell(request) and close()
--- Errors: those of the engine; `cancelled`, `timeout` and `killed` of the current job.
function port.open(name, module, location, options, on_hint)
  if module.threaded and not core.is_virtual() then
    return open_in_thread(name, location, options, on_hint, module.closing)
  end
  return open_inline(module, location, options)
end

return port
