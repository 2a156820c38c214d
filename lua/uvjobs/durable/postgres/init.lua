-- The store in PostgreSQL: an engine as docs/durable-stores.md describes it. What is asked for at
-- once is sent at once, as one transaction, because what costs most is to wait for the server.

local claims = require "uvjobs.durable.postgres.claims"
local link = require "uvjobs.durable.postgres.link"
local listener = require "uvjobs.durable.postgres.listener"
local location = require "uvjobs.durable.postgres.location"
local mend = require "uvjobs.durable.mend"
local native = require "uvjobs.store.postgres"
local processes = require "uvjobs.durable.postgres.processes"
local schema = require "uvjobs.durable.postgres.schema"
local schedules = require "uvjobs.durable.postgres.schedules"
local session = require "uvjobs.durable.postgres.session"
local steps = require "uvjobs.durable.postgres.steps"
local tasks = require "uvjobs.durable.postgres.tasks"
local transactions = require "uvjobs.durable.postgres.transactions"

local Engine = {}
Engine.__index = Engine

local SCHEMA <const> = "uvjobs"
local LOOK <const> = 0.5             -- seconds between two looks for dead processes
local AGAIN <const>, MOST <const> = 0.1, 5 -- seconds until it connects again
local SOON <const> = 0.05            -- seconds until a warning can be heard
local CLOSING <const> = 0.3          -- seconds that closing may take
local MOST_TRIES <const> = 5         -- of a transaction that others have crossed

local plans = {}
for _, part in ipairs { tasks, processes.plans, schedules } do
  for name, plan in pairs(part) do plans[name] = plan end
end
plans.insertion, plans.statement = nil, nil

-- What changes nothing is not stored, whatever happens.
local READS <const> = { get = true, list = true, stats = true, schedules = true, sql = true }

-- Errors of transactions that have crossed each other: the next try finds what the other has done.
local CROSSED <const> = { ["40001"] = true, ["40P01"] = true, ["23505"] = true }

-- ---- plans -------------------------------------------------------------------------

local function has_key(request)
  for _, task in ipairs(request.tasks) do
    if task.key then return true end
  end
  return false
end

-- Whether an operation has to look at a result before it goes on.
local function is_step(request)
  local op = request.op
  if op == "enqueue" then return has_key(request) end
  if op == "claim" then return not claims.is_plain(request) end
  return steps[op] ~= nil
end

-- Adds a request that stores tasks without keys; neighbours share one query.
local function add_insertion(group, request)
  local last = group.parts[#group.parts]
  if not last or not last.tasks then
    last = { tasks = {}, at = #group.queries + 1, count = 1 }
    group.parts[#group.parts + 1] = last
    group.queries[last.at] = false
  end
  local first = #last.tasks
  table.move(request.tasks, 1, #request.tasks, first + 1, last.tasks)
  local part, n = last, #request.tasks
  group.values[#group.values + 1] = function(results)
    local answers, result = {}, results[part.at]
    for i = 1, n do answers[i] = { result[first + i][1], true } end
    return answers
  end
end

local function add_plan(self, group, request)
  if request.op == "enqueue" then return add_insertion(group, request) end
  if request.op == "sql" then
    group.values[#group.values + 1] = function()
      return tasks.statement(request.task, self.write)
    end
    return
  end
  local plan = request.op == "claim" and claims.plan or plans[request.op]
  local queries, finish = plan(request)
  local at = #group.queries
  group.parts[#group.parts + 1] = {}
  table.move(queries, 1, #queries, at + 1, group.queries)
  group.values[#group.values + 1] = function(results)
    return finish(table.move(results, at + 1, at + #queries, 1, {}), self.session)
  end
end

-- Sends the queries of all requests together; returns their values.
local function run_plans(self, requests)
  local group, values = { queries = {}, parts = {}, values = {} }, {}
  for _, request in ipairs(requests) do
    if request.op == "join" then request.pid = native.pid() end
    add_plan(self, group, request)
  end
  for _, part in ipairs(group.parts) do
    if part.tasks then group.queries[part.at] = tasks.insertion(part.tasks) end
  end
  local results = #group.queries > 0 and self.session:round(group.queries) or {}
  for i, value_of in ipairs(group.values) do values[i] = { value = value_of(results) } end
  return values
end

-- Runs requests step by step in one transaction.
local function run_steps(self, requests)
  local values = {}
  self.session:in_transaction(function(on)
    for i, request in ipairs(requests) do values[i] = { value = steps[request.op](on, request) } end
  end)
  return values
end

-- ---- what is known besides ---------------------------------------------------------

local noting = {}

function noting.enqueue(self, request)
  for _, task in ipairs(request.tasks) do
    if (task.delay or 0) <= 0 and not task.date then self.listener:tell(task.queue) end
  end
end

noting.fire = noting.enqueue

function noting.finish(self, request)
  local running, done = self.running[request.process] or {}, request.done
  for i = 1, #done, 2 do running[done[i]] = nil end
end

function noting.claim(self, request, value)
  if request.done then noting.finish(self, request) end
  local running = self.running[request.process] or {}
  self.running[request.process] = value.alive and running or nil
  for _, task in ipairs(value.tasks) do running[task.id] = task.queue end
end

local COMES_BACK <const> = { retry = true, release = true, snooze = true }

function noting.settle(self, request, held)
  local running = self.running[request.process] or {}
  for i, how in ipairs(request.list) do
    local queue = running[how.id]
    if queue and held[i] and COMES_BACK[how.outcome] and (how.delay or 0) <= 0 then
      self.listener:tell(queue)
    end
    running[how.id] = nil
  end
end

function noting.leave(self, request)
  self.running[request.process] = nil
end

local function note(self, requests, answers)
  for i, request in ipairs(requests) do
    local noted = noting[request.op]
    if noted and answers[i].value then noted(self, request, answers[i].value) end
  end
end

-- ---- performing --------------------------------------------------------------------

local function answer_of(err, request, is_lost)
  if type(err) ~= "table" or not err.code then error(err, 0) end
  if err.code == "sql" then error(err.message, 0) end
  return {
    code = err.code, message = err.message,
    stored = is_lost and not READS[request.op] and "unknown" or nil,
  }
end

-- The answer to a request was lost: what it may have done is found out when it is asked again.
local function doubt(self, request)
  if request.op == "claim" then self.unsure[request.process] = true end
  if request.op == "settle" then
    for _, how in ipairs(request.list) do self.doubts[how.id] = how.lease end
  end
  local done = request.done or {}
  for i = 1, #done, 2 do self.doubts[done[i]] = done[i + 1] end
end

local function fail_all(self, requests, err)
  local answers = {}
  for i, request in ipairs(requests) do
    if err.is_lost then doubt(self, request) end
    answers[i] = answer_of(err, request, err.is_lost)
  end
  return answers
end

-- An operation has failed. Returns whether that may have come from rows that somebody else has
-- written, which are dead now.
local function mended(self, err)
  if not self.link:is_open() then return false end
  local count = schema.mend(self.session, err)
  if count > 0 then self.warning = mend.WARNING:format("PostgreSQL", count) end
  return count > 0
end

-- Performs requests of one sort. When something fails in them, each is performed by itself, so
-- that only the one that fails is told so.
local function perform_group(self, run, requests, tries)
  local ok, answers = pcall(run, self, requests)
  if ok then
    note(self, requests, answers)
    return answers
  end
  local err = answers
  if type(err) ~= "table" or err.is_lost then return fail_all(self, requests, err) end
  if #requests == 1 then
    if CROSSED[err.state] and tries < MOST_TRIES then
      return perform_group(self, run, requests, tries + 1)
    end
    if mended(self, err) then return perform_group(self, run, requests, tries) end
    return fail_all(self, requests, err)
  end
  answers = {}
  for i, request in ipairs(requests) do
    answers[i] = self.link:is_open() and perform_group(self, run, { request }, 1)[1] or
      answer_of({ code = "unavailable", message = "the connection was lost" }, request)
  end
  return answers
end

-- ---- connecting --------------------------------------------------------------------

local SETTINGS <const> = [[SELECT set_config(name, value, false) FROM (VALUES
  ('statement_timeout', '4500'), ('lock_timeout', '3000'),
  ('idle_in_transaction_session_timeout', '6000'), ('jit', 'off'),
  ('default_transaction_isolation', 'read committed')) AS s (name, value)]]

--- A new connection.
function Engine:connect()
  local opened = link.open(self.text, self.given)
  if not self.given.is_pooled then
    if opened:finds_pooler() then
      self.given.is_pooled, opened.is_pooled = true, true
    else
      opened:simple(SETTINGS)
    end
  end
  return opened
end

-- A connection for the next requests, or what is wrong.
local function ready(self)
  if self.link and self.link:is_open() then return true end
  if self.again_at and native.now() < self.again_at then return false, self.problem end
  local ok, opened = pcall(self.connect, self)
  if ok then
    self.link, self.failures, self.again_at = opened, 0, nil
    self.session = session.new(self, opened)
    return true
  end
  if type(opened) ~= "table" then error(opened, 0) end
  self.failures = self.failures + 1
  local pause = math.min(AGAIN * 2 ^ (self.failures - 1), MOST)
  self.again_at, self.problem = native.now() + pause * (0.5 + math.random() / 2), opened
  return false, opened
end

local function refuse_all(requests, err)
  local answers = {}
  for i, request in ipairs(requests) do answers[i] = answer_of(err, request) end
  return answers
end

-- ---- before and after --------------------------------------------------------------

local LOOKS <const> = { beat = true, claim = true }

-- Looks for processes that have died, and gives back their tasks.
local function look_for_dead(self, requests)
  local now, looks = native.now(), false
  for _, request in ipairs(requests) do looks = looks or LOOKS[request.op] end
  if not looks or now - self.looked < LOOK then return end
  self.looked = now
  -- What goes wrong here is no matter of those who ask: it is tried again.
  local ok, err = pcall(processes.bury, self.session)
  if not ok and type(err) ~= "table" then error(err, 0) end
end

-- A claim whose answer was lost may have taken tasks that nobody knows of.
local function recover(self, requests)
  for _, request in ipairs(requests) do
    if request.op == "claim" and self.unsure[request.process] then
      claims.recover(self.session, request.process)
      self.unsure[request.process] = nil
    end
  end
end

local ALIVE <const> = "SELECT 1 FROM @process WHERE number = $1::bigint AND expires >= @NOW"

-- A task whose outcome was told before, and the answer lost, is not held any more. As long as the
-- process lives, nobody but itself can have done that.
local function is_alive(self, request)
  return self.session:ask(ALIVE, request.process).n == 1
end

local resolving = {}

function resolving.settle(self, request, held)
  for i, how in ipairs(request.list) do
    if self.doubts[how.id] == how.lease then
      self.doubts[how.id] = nil
      if not held[i] then held[i] = is_alive(self, request) end
    end
  end
end

function resolving.finish(self, request, lost)
  local done, in_doubt = request.done, {}
  for i = 1, #done, 2 do
    local id = done[i]
    if self.doubts[id] == done[i + 1] then self.doubts[id], in_doubt[id] = nil, true end
  end
  for i = #lost, 1, -1 do
    if in_doubt[lost[i]] and is_alive(self, request) then table.remove(lost, i) end
  end
end

-- When that fails, nobody is told what has been taken.
function resolving.claim(self, request, value)
  if not request.done then return end
  local ok, err = pcall(resolving.finish, self, request, value.lost)
  if ok then return end
  local running = self.running[request.process] or {}
  for _, task in ipairs(value.tasks) do running[task.id] = nil end
  error(err, 0)
end

local function before(self, requests)
  if next(self.unsure) then recover(self, requests) end
  look_for_dead(self, requests)
end

local function after(self, requests, answers)
  for i, request in ipairs(next(self.doubts) and requests or {}) do
    local resolve = resolving[request.op]
    if resolve and answers[i].value then
      local ok, err = pcall(resolve, self, request, answers[i].value)
      if not ok then
        doubt(self, request)
        answers[i] = answer_of(err, request)
      end
    end
  end
  if self.link and self.link.conn then self.listener:keep() end
  self.hurry = self.listener:flush() or self.warning and SOON
end

-- ---- the engine --------------------------------------------------------------------

-- Neighbours of the same sort are performed together.
local function runner_of(request)
  if request.tx or request.op == "begin" then return transactions.run end
  return is_step(request) and run_steps or run_plans
end

local function perform_in_order(self, requests)
  local answers, i = {}, 1
  while i <= #requests do
    local run, group, first = runner_of(requests[i]), {}, i
    while requests[i] and runner_of(requests[i]) == run do
      group[#group + 1] = requests[i]
      i = i + 1
    end
    local ok, problem = ready(self)
    local of_group
    if run == transactions.run then
      of_group = transactions.run(self, group)
    else
      of_group = ok and perform_group(self, run, group, 1) or refuse_all(group, problem)
    end
    table.move(of_group, 1, #of_group, first, answers)
  end
  return answers
end

function Engine:perform(requests)
  local ok, problem = ready(self)
  if not ok then return refuse_all(requests, problem) end
  ok, problem = pcall(before, self, requests)
  if not ok then return refuse_all(requests, problem) end
  local answers = perform_in_order(self, requests)
  after(self, requests, answers)
  return answers
end

Engine.transaction = transactions.number
Engine.excludes = transactions.excludes

function Engine:fd()
  return self.listener:fd()
end

function Engine:hear()
  return self.listener:hear()
end

function Engine:idle()
  self.listener:keep()
  self.hurry = self.listener:flush()
  if not self.warning or next(self.running) == nil then return nil end -- no worker would hear it
  local warning = self.warning
  self.warning = nil
  return warning
end

function Engine:close()
  transactions.close(self)
  self.listener:close()
  if self.link then self.link:close() end
end

-- ---- opening -----------------------------------------------------------------------

local POOLED <const> = "PostgreSQL is behind a pooler that may keep no sessions: new tasks are " ..
  "looked for once a second; option 'listen' names a way to the server itself, for hints"

local function open(text, options, _, ends)
  local name = options.schema or SCHEMA
  local given = {
    censor = location.censor(text), timeout = location.timeout(text), ends = ends,
  }
  local self = setmetatable({
    text = text, given = given, write = schema.writer(name), running = {}, unsure = {},
    doubts = {}, failures = 0, looked = -math.huge, last_transaction = 0,
  }, Engine)
  self.listener = listener.new(nil, name, given)
  local ok, err = pcall(function()
    self.link = self:connect()
    schema.open(self.link, self.write, name)
  end)
  if not ok then
    if self.link then self.link:close() end
    if type(err) == "table" and err.code == "sql" then err.code = "misuse" end
    error(err, 0)
  end
  self.session = session.new(self, self.link)
  self:listen(options.listen, name)
  return self
end

--- Begins to listen, where that is possible.
function Engine:listen(text, name)
  if not text and self.given.is_pooled then
    self.warning = POOLED
    return
  end
  text = text or self.text
  self.listener = listener.new(text, name, {
    censor = location.censor(text), timeout = location.timeout(text), ends = self.given.ends,
    is_pooled = true, listens = true,
  })
  self.session.listener = self.listener
  self.listener:keep()
end

return {
  open = open, options = { schema = true, listen = true }, threaded = true, virtual = false,
  shared = true, problem = location.problem, closing = CLOSING,
}
