-- Runs a crontab: `uvjobs cron FILE`. It reads the file again on SIGHUP, and ends gently.

local core = require "uvjobs.core"
local crontab = require "uvjobs.cron.crontab"

core.own_source()

local uvjobs = core.public

local daemon = {}

-- The part of the close timeout in which commands may end by themselves; the rest is for
-- those that have to be terminated.
local GENTLE_PART <const> = 0.75

local function say(format, ...)
  io.stderr:write("uvjobs: ", format:format(...), "\n")
end

local function read_file(path)
  local file, problem = io.open(path)
  if not file then return nil, problem end
  local text
  text, problem = file:read "a"
  file:close()
  return text, problem
end

--- The entries of a crontab file; or nil, and the problems were printed.
---@param path string
---@return uvjobs.cron.Entry[]?
function daemon.load(path)
  local text, problem = read_file(path)
  if not text then
    say("%s", problem:find(path, 1, true) and problem or path .. ": " .. problem)
    return nil
  end
  local entries, problems = crontab.read(text, uvjobs.time())
  for _, found in ipairs(problems) do say("%s:%d: %s", path, found.line, found.text) end
  return #problems == 0 and entries or nil
end

-- ---- commands ----------------------------------------------------------------------

-- Runs the command of an entry. It shares our output, and has a group of its own, so that
-- Ctrl-C in a terminal is for us alone and what it leaves behind ends with it.
local function run_command(entry, is_verbose)
  if is_verbose then say("begins: %s", entry.name) end
  local result, _, _, message = uvjobs.exec(entry.shell, { "-c", entry.command }, {
    env = entry.env, stdout = 1, stderr = 2, group = true, timeout = entry.timeout,
  })
  if result and result.ok then
    if is_verbose then say("has ended: %s", entry.name) end
    return
  end
  message = result and result.message or message
  error((message:gsub("^'.-' ", "", 1)), 0)
end

local REASONS <const> = {
  overlap = "it still runs", full = "too many commands run", missed = "its time has passed",
}

-- The exception handler of the scheduler.
local function report(_, context)
  local repeating, job = context.repeating, context.job
  local name = repeating and repeating.name or job and job.name or "cron"
  if context.jobs then
    for _, late in ipairs(context.jobs) do
      say("%s: is terminated, because it has not ended in time", late.name)
    end
  elseif context.reason then
    say("%s: left out: %s", name, REASONS[context.reason] or context.reason)
  else
    say("%s: %s", name, tostring(context.exception or context.message))
  end
end

-- ---- the table ---------------------------------------------------------------------

---@class uvjobs.cron.Table what runs: for each entry its repetition
local Table = {}
Table.__index = Table

local function new_table(scheduler, is_verbose)
  return setmetatable({ scheduler = scheduler, is_verbose = is_verbose, running = {} }, Table)
end

function Table:start(entry)
  local options = entry.options
  options.name = entry.name
  return self.scheduler:repeating(entry.schedule, options, function()
    run_command(entry, self.is_verbose)
  end)
end

-- Runs these entries from now on. Those that were there before go on as they are, also
-- after a failure that has paused them; those that are not there any more start nothing,
-- and what they run goes on.
function Table:replace(entries)
  local before, running = self.running, {}
  for _, entry in ipairs(entries) do
    local same, list = before[entry.key], running[entry.key] or {}
    local repeating = same and table.remove(same) or self:start(entry)
    repeating:resume()
    running[entry.key], list[#list + 1] = list, repeating
  end
  for _, list in pairs(before) do
    for _, repeating in ipairs(list) do repeating:stop() end
  end
  self.running = running
end

local function count_active(scheduler)
  return scheduler.active_count + scheduler.pending_count
end

-- Lets what runs finish, within a part of the close timeout. Returns the exit status.
local function finish(scheduler, close_timeout)
  local running = count_active(scheduler)
  if running > 0 then
    say("waiting for %s", running == 1 and "1 command" or running .. " commands")
  end
  return scheduler:wait_and_close(close_timeout * GENTLE_PART) and 0 or 1
end

--- Runs a crontab until a signal closes the main job. To be called in it. Suspends.
---@param path string
---@param options { close_timeout: number, limit: integer, verbose: boolean }
---@return integer status for the process
function daemon.run(path, options)
  local uv = require "uvjobs.uv"
  local hangup <close> = uv.new_signal()
  assert(hangup:start "sighup") -- before the file is read: that may take a while
  local entries = daemon.load(path)
  if not entries then return 1 end
  local scheduler = uvjobs.scheduler {
    name = "cron", limit = options.limit, exception_handler = report,
    close_timeout = options.close_timeout * (1 - GENTLE_PART) / 2,
  }
  local active = new_table(scheduler, options.verbose)
  active:replace(entries)
  local _, err = pcall(function()
    while hangup:next() do
      local changed = daemon.load(path)
      if changed then active:replace(changed) end
      if changed then
        say("%s: read again, %s", path, #changed == 1 and "1 command" or #changed .. " commands")
      else
        say("%s: not read again, the old one holds", path)
      end
    end
  end)
  if uvjobs.code(err) ~= "cancelled" then error(err, 0) end
  return uvjobs.protect(finish, scheduler, options.close_timeout)
end

return daemon
