-- What a store in SQLite does on the side: it writes the WAL back before that grows, and looks
-- whether its file is still there.

local upkeep = {}

local PAGE <const> = 4096                       -- bytes
local PASSIVE <const> = 4 * 1024 * 1024 // PAGE -- pages of the WAL
local TRUNCATE <const> = 64 * 1024 * 1024 // PAGE
local LOOK <const> = 1000000                    -- microseconds
local PINNED <const> = 60000000                 -- microseconds: when a reader is told of

--- Remembers which file it is.
function upkeep.begin(self, native)
  self.native = native
  self.file = { native.file(self.path) }
  self.checked = self.clock.now()
end

--- What is wrong with the file, or nil. It is looked at once a second.
function upkeep.problem(self)
  local now = self.clock.now()
  if now - self.checked < LOOK and not self.missing then return nil end
  self.checked = now
  local device, inode = self.native.file(self.path)
  self.missing = device ~= self.file[1] or inode ~= self.file[2]
  if self.missing then
    return ("'%s' was %s while it was in use"):format(self.path, device and "replaced" or "deleted")
  end
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

--- Nothing was asked for a while. Returns a warning, or nil.
function upkeep.idle(self)
  if upkeep.problem(self) then return nil end
  if self.db:wal_pages() > 0 and self.native.size(self.path .. "-wal") >= PASSIVE * PAGE then
    checkpoint(self, "truncate")
  end
  return warning_of(self)
end

return upkeep
