-- What a store in SQLite does on the side: it writes the WAL back before that grows, looks whether
-- its files are still there, and sets aside rows that somebody else has written.

local mend = require "uvjobs.durable.mend"

local upkeep = {}

local PAGE <const> = 4096                       -- bytes
local PASSIVE <const> = 4 * 1024 * 1024 // PAGE -- pages of the WAL
local TRUNCATE <const> = 64 * 1024 * 1024 // PAGE
local LOOK <const> = 1000000                    -- microseconds
local PINNED <const> = 60000000                 -- microseconds: when a reader is told of

-- What SQLite and the locks need: without one of them two processes can use different files
-- under the same names, and then each takes the other for dead.
local NEEDED <const> = { "", "-lock", "-wal" }

--- Remembers which files they are.
function upkeep.begin(self, native)
  self.native, self.files = native, {}
  for i, ending in ipairs(NEEDED) do self.files[i] = { native.file(self.path .. ending) } end
  self.checked = self.clock.now()
end

-- What has happened to the files, or nil.
local function look_at_files(self)
  for i, ending in ipairs(NEEDED) do
    local path, known = self.path .. ending, self.files[i]
    local device, inode = self.native.file(path)
    if known[1] and (device ~= known[1] or inode ~= known[2]) then
      return ("'%s' was %s while it was in use"):format(path, device and "replaced" or "deleted")
    end
  end
end

--- What is wrong with the files, or nil. They are looked at once a second.
function upkeep.problem(self)
  local now = self.clock.now()
  if now - self.checked < LOOK and not self.missing then return nil end
  self.checked = now
  self.missing = look_at_files(self)
  return self.missing
end

local function checkpoint(self, mode)
  local ok, done, pages = pcall(self.db.checkpoint, self.db, mode)
  local now = self.clock.now()
  if ok and done then
    self.pinned, self.warned = nil, nil
  elseif ok and not self.pinned then
    self.pinned = now
  end
  if self.pinned then self.wal = pages end
end

--- Writes back what is in the WAL, when it is much.
function upkeep.after_commit(self)
  if self.open then return end
  local pages = self.db:wal_pages()
  if pages < PASSIVE or self.tried and pages < self.tried then return end
  checkpoint(self, pages >= TRUNCATE and "truncate" or "passive")
  -- A reader can keep it from being used anew. Then it is tried again later.
  self.tried = self.db:wal_pages() >= PASSIVE and self.db:wal_pages() + PASSIVE or nil
end

-- A warning, once, when a reader has kept the WAL from being written back for too long.
local function warning_of(self)
  local now = self.clock.now()
  if self.pinned and now - self.pinned > PINNED and not self.warned then
    self.warned = true
    return ("the WAL of '%s' has %d bytes, and a reader has been holding it for %d seconds")
      :format(self.path, (self.wal or 0) * PAGE, (now - self.pinned) // 1000000)
  end
end

-- ---- rows that cannot be -----------------------------------------------------------

local MENDED <const> = mend.sql(false, "?1", "0")
-- What the other tables cannot have: that is deleted, and who needs it makes it again.
local PROCESSES <const> = [[FROM uvjobs_process
  WHERE typeof(expires) <> 'integer' OR typeof(boot) <> 'text']]
local SCHEDULES <const> = [[FROM uvjobs_schedule
  WHERE typeof(spec) <> 'text' OR typeof(task) <> 'text'
  OR typeof(coalesce(last, 0)) <> 'integer' OR typeof(coalesce(next, 0)) <> 'integer']]
local IS_UNSOUND <const> = ("SELECT 1 FROM uvjobs_task WHERE %s UNION ALL SELECT 1 %s " ..
  "UNION ALL SELECT 1 %s LIMIT 1"):format(MENDED.unsound, PROCESSES, SCHEDULES)
local MEND <const> = "UPDATE uvjobs_task SET " .. MENDED.set .. " WHERE " .. MENDED.unsound

local function mend_all(self)
  if not self:sql(IS_UNSOUND):first() then return 0 end
  self.begins:run()
  local count = self:sql(MEND):run(self.clock.date())
  count = count + self:sql("DELETE " .. PROCESSES):run() + self:sql("DELETE " .. SCHEDULES):run()
  self.ends:run()
  return count
end

--- An operation has failed. When that can come from rows that somebody else has written, those
--- become dead. Returns whether there were any.
function upkeep.mend(self, err)
  if not mend.may_help(err) then return false end
  local ok, count = pcall(mend_all, self)
  if not ok then
    if self.db:in_transaction() then pcall(self.db.exec, self.db, "ROLLBACK") end
    return false
  end
  self.mended = (self.mended or 0) + count
  return count > 0
end

-- ---- when nothing is asked for -----------------------------------------------------

-- A warning of what was changed by that.
local function warning_of_mended(self)
  local count = self.mended or 0
  if count == 0 then return nil end
  self.mended = nil
  return (mend.WARNING):format(self.path, count)
end

--- Nothing was asked for a while. Returns a warning, or nil.
function upkeep.idle(self)
  if upkeep.problem(self) then return nil end
  if self.db:wal_pages() > 0 and self.native.size(self.path .. "-wal") >= PASSIVE * PAGE then
    checkpoint(self, "truncate")
  end
  return warning_of_mended(self) or warning_of(self)
end

return upkeep
