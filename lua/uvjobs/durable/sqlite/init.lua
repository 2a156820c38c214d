-- The store in one file, by SQLite: an engine as docs/durable-stores.md describes it. All that is
-- asked for at once is committed together, because what costs most is to wait for the disk.

local native = require "uvjobs.store.sqlite"
local processes = require "uvjobs.durable.sqlite.processes"
local schedules = require "uvjobs.durable.sqlite.schedules"
local schema = require "uvjobs.durable.sqlite.schema"
local tasks = require "uvjobs.durable.sqlite.tasks"
local upkeep = require "uvjobs.durable.sqlite.upkeep"

local Engine = {}
Engine.__index = Engine

local BUSY_MS <const> = 5000      -- how long others may hold the file
local DEAF <const> = 5000           -- microseconds: see be_deaf()
local TRANSACTION <const> = 5000000 -- microseconds that a transaction of the user may last

local operations = {}
for _, name in ipairs {
  "enqueue", "sql", "claim", "finish", "settle", "save", "get", "list", "stats", "cancel", "retry",
  "pause",
} do operations[name] = tasks[name] end
for _, name in ipairs { "join", "beat", "leave", "prune" } do operations[name] = processes[name] end
for name, operation in pairs(schedules) do operations[name] = operation end

-- What changes nothing needs no lock.
local READS <const> = { get = true, list = true, stats = true, schedules = true, sql = true }

local MOST_STATEMENTS <const> = 300 -- that are kept

--- The statement of a text; it is prepared once.
function Engine:sql(text)
  local statement = self.statements[text]
  if statement then return statement end
  if self.count >= MOST_STATEMENTS then self.statements, self.count = {}, 0 end
  statement = self.db:prepare(text)
  self.statements[text] = statement
  self.count = self.count + 1
  return statement
end

Engine.renew = processes.renew

-- ---- performing --------------------------------------------------------------------

-- An error of SQLite that is nobody's fault is one; anything else is a mistake of ours, whose
-- answer is a text.
local function answer_of(err)
  if type(err) ~= "table" or not err.code then return tostring(err) end
  if err.code == "sql" then return "SQLite: " .. err.message end
  return { code = err.code, message = err.message, stored = err.stored }
end

local function perform_all(self, requests)
  local answers = {}
  for i = 1, #requests do
    local request = requests[i]
    answers[i] = { value = operations[request.op](self, request) }
  end
  return answers
end

local function roll_back(self)
  if self.db:in_transaction() then pcall(self.db.exec, self.db, "ROLLBACK") end
end

-- A commit that fails in the middle may have happened.
local function commit(self)
  local ok, err = pcall(self.ends.run, self.ends)
  if ok then return end
  if type(err) == "table" and err.code == "unavailable" then err.stored = "unknown" end
  error(err, 0)
end

local function in_transaction(self, requests)
  local reads = true
  for i = 1, #requests do reads = reads and READS[requests[i].op] end
  if reads then self.begins_reading:run() else self.begins:run() end
  local answers = perform_all(self, requests)
  commit(self)
  return answers
end

-- Performs a group. When something fails in it, each is performed by itself, so that only
-- the one that fails is told so.
local function perform_group(self, requests)
  local ok, answers = pcall(in_transaction, self, requests)
  if ok then return answers end
  roll_back(self)
  local err = answers
  if #requests == 1 and upkeep.mend(self, err) then return perform_group(self, requests) end
  if #requests == 1 or type(err) == "table" and err.code == "unavailable" then
    answers = {}
    for i = 1, #requests do answers[i] = answer_of(err) end
    return answers
  end
  answers = {}
  for i, request in ipairs(requests) do answers[i] = perform_group(self, { request })[1] end
  return answers
end

-- ---- transactions of the user ------------------------------------------------------

local of_transaction = {}

function of_transaction.begin(self)
  self.begins:run()
  self.last_transaction = self.last_transaction + 1
  self.open = { number = self.last_transaction, since = self.clock.now() }
  return self.last_transaction
end

-- Statements that would end the transaction behind our back.
local FORBIDDEN <const> = {
  begin = true, commit = true, ["end"] = true, rollback = true, attach = true, detach = true,
  pragma = true, vacuum = true,
}

function of_transaction.execute(self, request)
  local word = request.text:match "^%s*(%a+)"
  if word and FORBIDDEN[word:lower()] then
    error({ code = "misuse", message = ("'%s' cannot be used here"):format(word) }, 0)
  end
  local ok, rows = pcall(function()
    local statement = self:sql(request.text)
    return statement:rows(table.unpack(request.parameters, 1, request.parameters.n))
  end)
  if ok then
    rows.changes = self.db:changes()
    return rows
  end
  if type(rows) == "table" and rows.code ~= "sql" then error(rows, 0) end
  error({ code = "misuse", message = type(rows) == "table" and rows.message or rows }, 0)
end

function of_transaction.enqueue(self, request)
  return tasks.enqueue(self, request)
end

function of_transaction.commit(self)
  self.open = nil
  commit(self)
end

function of_transaction.rollback(self)
  self.open = nil
  roll_back(self)
end

local function perform_in_transaction(self, request)
  if request.tx and not (self.open and self.open.number == request.tx) then
    if request.op == "rollback" then return {} end
    return { code = "unavailable", message = "the transaction is over" }
  end
  local ok, value = pcall(of_transaction[request.op], self, request)
  if ok then return { value = value } end
  if request.op == "commit" then roll_back(self) end
  return answer_of(value)
end

--- The number of the transaction that excludes everything else, or nil.
function Engine:transaction()
  if self.open and self.clock.now() - self.open.since > TRANSACTION then
    of_transaction.rollback(self)
  end
  return self.open and self.open.number
end

-- ---- the engine --------------------------------------------------------------------

local function all_fail(requests, message)
  local answers = {}
  for i = 1, #requests do answers[i] = { code = "unavailable", message = message } end
  return answers
end

-- What may make a task ready that another process can run.
local TELLS <const> = {
  enqueue = true, fire = true, commit = true, settle = true, leave = true, retry = true,
  pause = true,
}

-- The others notice when something is written into the WAL. But that is before it is committed, so
-- those that look at once would not find it, and be told no more.
local function tell_others(self, requests)
  for i = 1, #requests do
    if TELLS[requests[i].op] then
      self.locks:touch()
      return
    end
  end
end

-- What this connection writes is noticed, too. To look at that each time would cost as much as
-- the writing, so after a commit nothing is heard for a moment.
local function be_deaf(self)
  if self.notices and not self.hears_at then
    self.hears_at, self.hears_in = self.clock.now() + DEAF, DEAF / 1e6
  end
end

local function is_deaf(self)
  if self.hears_at and self.clock.now() < self.hears_at then return true end
  self.hears_at, self.hears_in = nil, nil
  return false
end

local function is_of_user(request)
  return request.tx ~= nil or request.op == "begin"
end

-- Performs those from a place on that can be committed together; returns the place behind them.
local function perform_neighbours(self, requests, first, answers)
  local last = first
  while requests[last + 1] and not is_of_user(requests[last + 1]) do last = last + 1 end
  local group = first == 1 and last == #requests and requests or
    table.move(requests, first, last, 1, {})
  table.move(perform_group(self, group), 1, #group, first, answers)
  return last + 1
end

function Engine:perform(requests)
  local problem = upkeep.problem(self)
  if problem then return all_fail(requests, problem) end
  local answers, i = {}, 1
  while i <= #requests do
    if is_of_user(requests[i]) then
      answers[i] = perform_in_transaction(self, requests[i])
      i = i + 1
    else
      i = perform_neighbours(self, requests, i, answers)
    end
  end
  upkeep.after_commit(self)
  tell_others(self, requests)
  be_deaf(self)
  return answers
end

function Engine:fd()
  return self.notices and not is_deaf(self) and self.notices:fd() or nil
end

--- Another connection has changed something, or this one has.
function Engine:hear()
  if self.notices then self.notices:clear() end
  if self.open then return nil end
  local version = self:sql("PRAGMA data_version"):first()
  if version == self.version then return nil end
  self.version = version
  return true
end

--- Returns what people should know, or nil.
function Engine:idle()
  if not self:transaction() then return upkeep.idle(self) end
end

function Engine:close()
  roll_back(self)
  pcall(self.db.checkpoint, self.db, "passive")
  self.statements, self.begins, self.begins_reading, self.ends = {}, nil, nil, nil
  self.db:close()
  self.locks:close()
  if self.notices then self.notices:close() end
end

-- ---- opening -----------------------------------------------------------------------

local function directory_of(path)
  local directory = path:match "^(.*)/[^/]*$" or "."
  return directory == "" and "/" or directory
end

local function check_path(path, options)
  if path == "" or path:find("\0", 1, true) then
    error({ code = "misuse", message = "'sqlite:' and the path of a file expected" }, 0)
  end
  local network = native.filesystem(directory_of(path))
  if network and not options.network then
    error({ code = "misuse", message = (
      "'%s' is on a network file system (%s), where locks cannot be relied on; " ..
      "option 'network' allows it"):format(path, network) }, 0)
  end
end

-- Says which file it is about. What the caller has to change is misuse: also a file, or a
-- directory, that cannot be written.
local function raise_of_open(path, err)
  if type(err) == "table" and err.message then
    if err.code == "sql" then err.code = "misuse" end
    if err.is_read_only then
      err.code, err.message = "misuse", "it, or its directory, cannot be written (read-only)"
    end
    -- SQLite tries to read it then, and only says that it is not there.
    if not native.file(path) and native.file(directory_of(path)) then
      err.message = "it cannot be made in its directory"
    end
    err.message = ("cannot open '%s': %s"):format(path, err.message)
  end
  error(err, 0)
end

local function open(path, options, clock)
  check_path(path, options)
  local self = setmetatable({
    path = path, statements = {}, count = 0, own = {}, last_transaction = 0,
    clock = clock or { date = native.date, now = native.monotonic },
    boot = clock and "virtual" or native.boot(), pid = native.pid(),
  }, Engine)
  local ok, err = pcall(function()
    self.db = native.open(path, BUSY_MS)
    schema.open(self.db, path, options.durability or "full")
    self.begins, self.begins_reading = self.db:prepare "BEGIN IMMEDIATE", self.db:prepare "BEGIN"
    self.ends = self.db:prepare "COMMIT"
    self.locks = native.locks(path .. "-lock")
    self.notices = native.notices(path .. "-wal", path .. "-lock")
    upkeep.begin(self, native)
  end)
  if ok then return self end
  if self.db then self.db:close() end
  raise_of_open(path, err)
end

return {
  open = open, options = { durability = true, network = true }, threaded = true, virtual = true,
  shared = true,
}
