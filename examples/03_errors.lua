-- Where errors go: to the job that waits for a job that fails; to the exception handler,
-- when nobody waits; and what happens to a job that does not end when it is cancelled.
--
--   script/run examples/03_errors.lua
--   uvjobs examples/03_errors.lua           -- with the rock installed

local uvjobs = require "uvjobs"

--- Gets the errors that nobody waited for. Without it, uvjobs writes them to
--- standard error, with the traceback.
local function exception_handler(_, context)
  print(("handler: %s: %s"):format(context.message, context.exception))
end

local function fail(what)
  uvjobs.sleep(0.01)
  error({ what = what })
end

--- Swallows every error, its own cancellation too.
local function stubborn()
  while true do
    pcall(uvjobs.sleep, 60)
  end
end

local function main()
  local scheduler <close> = uvjobs.scheduler {
    close_timeout = 0.1,
    exception_handler = exception_handler,
  }

  print "1. who waits for a job gets its error, the same value"
  local job = scheduler:spawn(fail, "disk full")
  local ok, err = pcall(job.wait, job)
  print("wait:", ok, type(err), err.what, job.state)

  print "2. an error that nobody waits for goes to the exception handler"
  job = scheduler:spawn(function()
    error("nobody cares", 0)
  end)
  job:join() -- waits for the end, but does not take the error
  print("join:", job.state)

  print "3. a deadline ends what takes too long"
  ok, err = pcall(uvjobs.timeout, 0.05, uvjobs.sleep, 60)
  print("timeout:", ok, uvjobs.code(err), err)

  print "4. a job that outstays its close timeout is killed"
  job = scheduler:spawn({ name = "stubborn" }, stubborn)
  uvjobs.yield() -- the job starts now
  local before = uvjobs.now()
  ok, err = pcall(job.close, job)
  print("close:", ok, uvjobs.code(err), job.state) -- the caller knows: no handler is called
  local took = uvjobs.now() - before
  print(took >= 0.1 and took < 1 and "it had its 0.1 s" or ("it took %g s"):format(took))
end

-- The command `uvjobs` runs this file as a job; the plain interpreter does not.
if uvjobs.current() then main(...) else uvjobs.run(main, ...) end
