-- The tables of a store in SQLite, and how a file becomes one. Names begin with uvjobs_, so
-- that a program can have its own tables beside them.

local schema = {}

local VERSION <const> = 1
local APPLICATION <const> = 0x75766A31 -- "uvj1"

-- Times are integer microseconds. The states are those of docs/durable-stores.md; each index has
-- the tasks of one of them only, so a task that is done, or that waits for next year, is not
-- in the way of those that are ready.
local TABLES <const> = [[
CREATE TABLE IF NOT EXISTS uvjobs_meta (
  name TEXT PRIMARY KEY, value
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS uvjobs_task (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  state INTEGER NOT NULL, queue TEXT NOT NULL, kind TEXT NOT NULL, priority INTEGER NOT NULL,
  due INTEGER NOT NULL, lease INTEGER NOT NULL DEFAULT 0, process INTEGER,
  attempt INTEGER NOT NULL DEFAULT 0, attempts INTEGER NOT NULL,
  crashes INTEGER NOT NULL DEFAULT 0, most_crashes INTEGER NOT NULL,
  cancelling INTEGER NOT NULL DEFAULT 0, key TEXT,
  keep_done INTEGER NOT NULL, keep_dead INTEGER NOT NULL,
  enqueued INTEGER NOT NULL, started INTEGER, ended INTEGER, expires INTEGER, reason TEXT,
  args TEXT NOT NULL, saved TEXT, errors TEXT, meta TEXT
);
CREATE INDEX IF NOT EXISTS uvjobs_ready
  ON uvjobs_task (queue, priority, due, id) WHERE state = 1;
CREATE INDEX IF NOT EXISTS uvjobs_scheduled ON uvjobs_task (queue, due) WHERE state = 0;
CREATE INDEX IF NOT EXISTS uvjobs_running ON uvjobs_task (process) WHERE state = 2;
CREATE INDEX IF NOT EXISTS uvjobs_ended ON uvjobs_task (expires) WHERE state >= 3;
CREATE UNIQUE INDEX IF NOT EXISTS uvjobs_key
  ON uvjobs_task (kind, key) WHERE key IS NOT NULL AND state <= 2;
CREATE TABLE IF NOT EXISTS uvjobs_process (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  boot TEXT NOT NULL, expires INTEGER NOT NULL, host TEXT, pid INTEGER
);
CREATE TABLE IF NOT EXISTS uvjobs_queue (
  name TEXT PRIMARY KEY, paused INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS uvjobs_schedule (
  name TEXT PRIMARY KEY, spec TEXT NOT NULL, task TEXT NOT NULL, last INTEGER, next INTEGER
) WITHOUT ROWID;
]]

local function one(db, sql, ...)
  local statement <close> = setmetatable({ db:prepare(sql) },
    { __close = function(held) held[1]:close() end })
  return statement[1]:first(...)
end

local function misuse(message, ...)
  error({ code = "misuse", message = message:format(...) }, 0)
end

-- Whether the file can be a store. Nothing is written before that is known; not even beside it, as
-- SQLite does when it reads a file with a WAL.
local function check_file(db, path)
  if db:is_read_only() then misuse "the file cannot be written (read-only)" end
  local application = one(db, "PRAGMA application_id")
  if application ~= 0 and application ~= APPLICATION then
    misuse("'%s' is the database of another program (application_id %d)", path, application)
  end
  local has_meta = one(db, "SELECT 1 FROM sqlite_master WHERE name = 'uvjobs_meta'")
  if not has_meta then return end
  -- The next version may say that this one can use it, too (D23).
  local version = one(db, "SELECT value FROM uvjobs_meta WHERE name = 'version'")
  local compatible = one(db, "SELECT value FROM uvjobs_meta WHERE name = 'compatible'")
  if version and version > VERSION and not (compatible and compatible <= VERSION) then
    misuse("'%s' has version %d of the tables, this program knows version %d", path, version,
      VERSION)
  end
  return version
end

local function create(db)
  db:exec "BEGIN IMMEDIATE"
  db:exec(TABLES)
  db:exec(("INSERT OR IGNORE INTO uvjobs_meta VALUES ('version', %d), ('compatible', %d)"):format(
    VERSION, VERSION))
  if one(db, "PRAGMA application_id") == 0 then
    db:exec(("PRAGMA application_id = %d"):format(APPLICATION))
  end
  db:exec "COMMIT"
end

--- Sets up a connection, and makes the tables if they are not there. Raises what is wrong with
--- the file.
---@param db table
---@param path string
---@param durability "full"|"normal"
function schema.open(db, path, durability)
  local version = check_file(db, path)
  local mode = one(db, "PRAGMA journal_mode = WAL")
  if mode ~= "wal" then misuse("'%s' cannot be used with a WAL (journal mode '%s')", path, mode) end
  db:exec("PRAGMA synchronous = " .. durability:upper())
  db:exec [[
    PRAGMA wal_autocheckpoint = 0;
    PRAGMA journal_size_limit = 67108864;
    PRAGMA temp_store = MEMORY;
    PRAGMA secure_delete = OFF;
  ]]
  db:watch_wal()
  if not version then create(db) end
end

return schema
