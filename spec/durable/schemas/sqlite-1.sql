-- A store as version 1 of the tables has it (release 0.1.0): a task in each state, a schedule, and a
-- queue that is paused. upgrade_spec.lua opens it. It is never changed.
PRAGMA journal_mode = WAL;
PRAGMA application_id = 1970694705;
CREATE TABLE uvjobs_meta (
  name TEXT PRIMARY KEY, value
) WITHOUT ROWID;
CREATE TABLE uvjobs_task (
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
CREATE INDEX uvjobs_ready
  ON uvjobs_task (queue, priority, due, id) WHERE state = 1;
CREATE INDEX uvjobs_scheduled ON uvjobs_task (queue, due) WHERE state = 0;
CREATE INDEX uvjobs_running ON uvjobs_task (process) WHERE state = 2;
CREATE INDEX uvjobs_ended ON uvjobs_task (expires) WHERE state >= 3;
CREATE UNIQUE INDEX uvjobs_key
  ON uvjobs_task (kind, key) WHERE key IS NOT NULL AND state <= 2;
CREATE TABLE uvjobs_process (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  boot TEXT NOT NULL, expires INTEGER NOT NULL, host TEXT, pid INTEGER
);
CREATE TABLE uvjobs_queue (
  name TEXT PRIMARY KEY, paused INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE uvjobs_schedule (
  name TEXT PRIMARY KEY, spec TEXT NOT NULL, task TEXT NOT NULL, last INTEGER, next INTEGER
) WITHOUT ROWID;
INSERT INTO uvjobs_meta VALUES ('version', 1), ('compatible', 1);
INSERT INTO uvjobs_task (id, state, queue, kind, priority, due, lease, attempt, attempts, crashes,
  most_crashes, key, keep_done, keep_dead, enqueued, started, ended, expires, reason, args, saved,
  errors) VALUES
  (1, 3, 'default', 'kind', 5, 1796105916322647, 1, 1, 2, 0, 3, 'k', 1000000000000000,
    2592000000000, 1796105916322647, 1796105916323972, 1796105916327899, 4096105916327899, NULL,
    '{"id":7,"price":1.0}', '{"n":1}', NULL),
  (2, 4, 'default', 'kind', 5, 1796105916324801, 2, 2, 2, 0, 3, NULL, 1000000000000000,
    2592000000000, 1796105916323237, 1796105916330482, 1796105916331935, 4098697916331935, 'failed',
    '"fails"', NULL, '{"at":1796105916.3247073,"attempt":1,"message":"it fails"}
{"at":1796105916.3318143,"attempt":2,"message":"it fails again"}'),
  (3, 1, 'default', 'kind', 5, 1796105916335652, 0, 0, 2, 0, 3, NULL, 1000000000000000,
    2592000000000, 1796105916335652, NULL, NULL, NULL, NULL, '[1,2,"three"]', NULL, NULL),
  (4, 0, 'default', 'kind', 2, 4102444800000000, 0, 0, 2, 0, 3, 'later', 1000000000000000,
    2592000000000, 1796105916338239, NULL, NULL, NULL, NULL, '"later"', NULL, NULL),
  (5, 5, 'default', 'kind', 5, 1796105916340859, 0, 0, 2, 0, 3, NULL, 1000000000000000,
    2592000000000, 1796105916340859, NULL, 1796105916343434, 4098697916343434, NULL,
    '"cancelled"', NULL, NULL);
INSERT INTO uvjobs_schedule VALUES ('nightly', 'uvjobs.Schedule: cron "30 2 * * *" in UTC',
  '{"args":"\"nightly\"","kind":"kind","queue":"default"}', NULL, 4102453800000000);
INSERT INTO uvjobs_queue VALUES ('slow', 1);
