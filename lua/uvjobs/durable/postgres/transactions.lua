-- Transactions of the user in PostgreSQL, on a connection of their own. One is open at a time in a
-- process: whatever could wait for its locks is kept back until it is over, because everything
-- that is asked of the store goes through one thread.

local native = require "uvjobs.store.postgres"
local session = require "uvjobs.durable.postgres.session"
local steps = require "uvjobs.durable.postgres.steps"

local transactions = {}

local LONGEST <const> = 5 -- seconds

local operations = {}

-- ---- statements --------------------------------------------------------------------

-- Statements that would end the transaction behind our back, or speak another protocol.
local FORBIDDEN <const> = {
  begin = true, start = true, commit = true, ["end"] = true, rollback = true, abort = true,
  prepare = true, savepoint = true, release = true, copy = true, listen = true, discard = true,
  vacuum = true, deallocate = true,
}

local function check_statement(text)
  local word = text:match "^%s*(%a+)"
  if word and FORBIDDEN[word:lower()] then
    error({ code = "misuse", message = ("'%s' cannot be used here"):format(word) }, 0)
  end
  return word and word:lower()
end

-- What fails in a transaction would end it: so everything has a savepoint before it.
local function guarded(self, fn, ...)
  self.open.session:ask "SAVEPOINT uvjobs"
  local ok, result = pcall(fn, self.open.session, ...)
  if ok then
    self.open.session:ask "RELEASE SAVEPOINT uvjobs"
    return result
  end
  if not (type(result) == "table" and result.is_lost) then
    self.open.session:ask "ROLLBACK TO SAVEPOINT uvjobs"
  end
  error(result, 0)
end

local function execute(on, request)
  local parameters = request.parameters
  local query = { request.text, n = parameters.n or 0 }
  table.move(parameters, 1, query.n, 2, query)
  return on.link:round_unprepared({ query })[1]
end

-- ---- operations --------------------------------------------------------------------

function operations.begin(self)
  local opened = self.spare
  if not (opened and opened:is_open()) then opened = self:connect() end
  self.spare = nil
  local on = session.new(self, opened)
  on:ask "BEGIN"
  on.is_begun = true
  self.last_transaction = self.last_transaction + 1
  self.open = {
    number = self.last_transaction, since = native.now(), session = on, told = {},
  }
  return self.last_transaction
end

function operations.execute(self, request)
  local word = check_statement(request.text)
  self.open.is_changed = self.open.is_changed or word == "set" or word == "reset"
  local ok, result = pcall(guarded, self, execute, request)
  if ok then
    local rows = { names = result.names or {}, changes = result.changes or 0 }
    return table.move(result, 1, result.n or 0, 1, rows)
  end
  if type(result) == "table" and result.code ~= "sql" then error(result, 0) end
  error({ code = "misuse", message = type(result) == "table" and result.message or result }, 0)
end

function operations.enqueue(self, request)
  for _, task in ipairs(request.tasks) do self.open.told[task.queue] = true end
  return guarded(self, steps.enqueue, request)
end

-- The connection is kept for the next one, unless its settings were changed.
local function over(self)
  local opened = self.open.session.link
  if self.open.is_changed or self.spare then opened:close() else self.spare = opened end
  self.open = nil
end

function operations.commit(self)
  local open = self.open
  local ok, err = pcall(open.session.commit, open.session)
  over(self)
  if not ok then error(err, 0) end
  for queue in pairs(open.told) do self.listener:tell(queue) end
end

function operations.rollback(self)
  self.open.session:roll_back()
  over(self)
end

-- ---- performing --------------------------------------------------------------------

local function fail(request, err)
  if type(err) ~= "table" or not err.code then error(err, 0) end
  if err.code == "sql" then error(err.message, 0) end
  return {
    code = err.code, message = err.message,
    stored = err.is_lost and request.op == "commit" and "unknown" or nil,
  }
end

local function run_one(self, request)
  if request.tx and not (self.open and self.open.number == request.tx) then
    if request.op == "rollback" then return {} end
    return { code = "unavailable", message = "the transaction is over" }
  end
  local ok, value = pcall(operations[request.op], self, request)
  if ok then return { value = value } end
  if self.open and type(value) == "table" and value.is_lost then self.open = nil end
  return fail(request, value)
end

--- Performs requests that belong to a transaction, or begin one.
function transactions.run(self, requests)
  local answers = {}
  for i, request in ipairs(requests) do answers[i] = run_one(self, request) end
  return answers
end

--- The number of the transaction that is open, or nil. One that is too old is rolled back.
function transactions.number(self)
  if self.open and native.now() - self.open.since > LONGEST then operations.rollback(self) end
  return self.open and self.open.number
end

-- What may wait for the locks of a transaction.
local WAITS <const> = {
  begin = true, retry = true, cancel = true, schedule = true, fire = true, unschedule = true,
}

--- Whether a request has to wait until the transaction is over.
function transactions.excludes(_, request)
  if WAITS[request.op] then return true end
  for _, task in ipairs(request.op == "enqueue" and request.tasks or {}) do
    if task.key then return true end
  end
  return false
end

function transactions.close(self)
  if self.open then operations.rollback(self) end
  if self.spare then self.spare:close() end
end

return transactions
