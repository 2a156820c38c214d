-- The processes of a store in SQLite. Each holds a lock on a byte of a file beside the
-- database, which the system drops when it dies, however that happens; so the others know it
-- at once. Its lease, by a clock that no date changes, is for a process that is there and does
-- nothing, as when it was stopped.

local rules = require "uvjobs.durable.rules"
local tasks = require "uvjobs.durable.sqlite.tasks"

local processes = {}

local LOOK <const> = 100000  -- microseconds between two looks for dead processes
local RENEW <const> = 2 / 3  -- of the lease: when so much is left, nothing is written

function processes.join(self, request)
  self:sql("INSERT INTO uvjobs_process (boot, expires, host, pid) VALUES (?, ?, ?, ?)"):run(
    self.boot, self.clock.now() + request.lease, request.host, self.pid)
  local number = self.db:last_id()
  if not self.locks:take(number) then
    error { code = "unavailable", message = "the lock of a new process is taken" }
  end
  self.own[number] = true
  return number
end

-- Changes all tasks that a process runs, as a rule says.
local function change_all(self, number, rule)
  local statement = self:sql("SELECT " .. tasks.columns ..
    " FROM uvjobs_task WHERE state = 2 AND process IS ? ORDER BY id")
  local rows = {}
  statement:bind(number)
  while true do
    local row = tasks.row_of(statement:step())
    if not row then break end
    rows[#rows + 1] = row
  end
  statement:reset()
  for _, row in ipairs(rows) do tasks.change(self, row.id, rule(row)) end
end

local function forget(self, number)
  self:sql("DELETE FROM uvjobs_process WHERE number = ?"):run(number)
end

local function is_dead(self, number, boot, expires, now)
  if self.own[number] then return expires < now end
  if not self.locks:is_held(number) then return true end
  return boot == self.boot and expires < now
end

-- Looks for processes that have died, and gives back their tasks.
local function bury(self, except)
  local now, date = self.clock.now(), self.clock.date()
  if self.looked and now - self.looked < LOOK and now >= self.looked then return end
  self.looked = now
  for _, row in ipairs(self:sql("SELECT number, boot, expires FROM uvjobs_process"):rows()) do
    local number = row[1]
    if number ~= except and is_dead(self, number, row[2], row[3], now) then
      change_all(self, number, function(task) return rules.crash(task, date) end)
      forget(self, number)
    end
  end
end

local ORPHANS <const> = [[SELECT DISTINCT process FROM uvjobs_task WHERE state = 2
  AND (process IS NULL OR process NOT IN (SELECT number FROM uvjobs_process))]]

--- Gives back tasks that run in a process of which nothing is known: somebody else has written into
--- the file.
function processes.bury_unknown(self)
  local date = self.clock.date()
  for _, row in ipairs(self:sql(ORPHANS):rows()) do
    change_all(self, row[1], function(task) return rules.crash(task, date) end)
  end
end

function processes.prune(self, request)
  processes.bury_unknown(self)
  return tasks.prune(self, request)
end

-- Renews the lease of a process. Returns whether that was written; nil when it is dead.
function processes.renew(self, number, lease)
  local expires = self:sql("SELECT expires FROM uvjobs_process WHERE number = ?"):first(number)
  local now = self.clock.now()
  if not expires or expires < now then return nil end
  bury(self, number)
  if expires - now > lease * RENEW and expires - now <= lease then return false end
  self:sql("UPDATE uvjobs_process SET expires = ? WHERE number = ?"):run(now + lease, number)
  return true
end

function processes.beat(self, request)
  local number, cancelling = request.process, {}
  local expires = self:sql("SELECT expires FROM uvjobs_process WHERE number = ?"):first(number)
  local now = self.clock.now()
  if not expires or expires < now then return { alive = false, cancelling = {} } end
  bury(self, number)
  self:sql("UPDATE uvjobs_process SET expires = ? WHERE number = ?"):run(
    now + request.lease, number)
  local rows = self:sql [[SELECT id FROM uvjobs_task WHERE state = 2 AND process = ?
    AND cancelling = 1 ORDER BY id]]:rows(number)
  for i, row in ipairs(rows) do cancelling[i] = row[1] end
  return { alive = true, cancelling = cancelling }
end

function processes.leave(self, request)
  local number, date = request.process, self.clock.date()
  change_all(self, number, function(task)
    return rules.settle(task, { outcome = "release" }, date)
  end)
  forget(self, number)
  if self.own[number] then
    self.own[number] = nil
    self.locks:release(number)
  end
end

return processes
