-- A work queue that survives a crash. A task is a shell script in the directory DIR/new;
-- it goes to DIR/running, and then to DIR/done or DIR/failed, and what it prints goes to
-- DIR/log. At most LIMIT tasks run at once. A task that fails is tried again after a
-- pause. SIGINT (Ctrl-C) or SIGTERM gives the tasks that run GRACE seconds; those that
-- need longer are terminated and put back. After a crash, even by SIGKILL, the next start
-- puts back what was running. So each task is done, but may have begun more than once.
--
--   script/run examples/14_work_queue.lua DIR
--   script/run examples/14_work_queue.lua          tries it in a directory of its own
--   uvjobs examples/14_work_queue.lua DIR          with the rock installed
--
-- To add a task, write it as DIR/new/.NAME and rename it to DIR/new/NAME, so that nobody
-- reads half of it. Only one program may use a DIR. It needs luv (Debian: lua-luv).

local luv = require "luv" -- its own functions do not suspend: for clean-up
local uvjobs = require "uvjobs"
local uv = require "uvjobs.uv"

local LIMIT = math.max(#(luv.cpu_info() or {}), 1)
local ATTEMPTS = 3
local PAUSE = 1 -- seconds before the second attempt; then twice as long each time
local SECONDS = 3600 -- for one attempt
local GRACE = 5 -- seconds; with CLOSE less than the 10 that run() gives the main job
local CLOSE = 3 -- seconds for the tasks to end after SIGTERM; then they get SIGKILL

--- Returns a value that calls `fn` when its `<close>` variable goes out of scope.
local function defer(fn)
  return setmetatable({}, { __close = fn })
end

--- Runs a task once. Returns nil when it went well, else what happened.
local function attempt(dir, name)
  local fd = assert(uv.fs_open(dir .. "/log/" .. name, "a", tonumber("644", 8)))
  local _ <close> = defer(function() luv.fs_close(fd) end)
  local result, _, _, message = uvjobs.exec("sh", { dir .. "/running/" .. name }, {
    stdout = fd, stderr = "stdout", timeout = SECONDS,
    group = true, -- Ctrl-C does not reach it, and what it has started ends with it
  })
  return message or result.message
end

--- The job of one task. However it ends, the file goes where it belongs.
local function work(queue, name)
  local dir, goal = queue.dir, "new" -- unless it ends
  if not luv.fs_rename(dir .. "/new/" .. name, dir .. "/running/" .. name) then return end
  local _ <close> = defer(function()
    assert(luv.fs_rename(dir .. "/running/" .. name, dir .. "/" .. goal .. "/" .. name))
  end)
  for try = 1, ATTEMPTS do
    local problem = attempt(dir, name)
    if not problem then
      goal = "done"
      return
    end
    queue.tell(("%s: attempt %d: %s"):format(name, try, problem))
    if try < ATTEMPTS then uvjobs.sleep(queue.pause * 2 ^ (try - 1)) end
  end
  goal = "failed"
end

--- Returns the names of the files in a directory, sorted.
local function list(path)
  local handle, names = assert(uv.fs_opendir(path, nil, 100)), {}
  local _ <close> = defer(function() luv.fs_closedir(handle) end)
  for entries in function() return uv.fs_readdir(handle) end do
    for _, entry in ipairs(entries) do
      if entry.name:sub(1, 1) ~= "." then names[#names + 1] = entry.name end
    end
  end
  table.sort(names)
  return names
end

--- Makes the directories, and puts back what a crash has left.
local function prepare(dir)
  for _, name in ipairs { "", "/new", "/running", "/done", "/failed", "/log" } do
    local ok, message, code = uv.fs_mkdir(dir .. name, tonumber("755", 8))
    if not ok and code ~= "EEXIST" then error(message, 0) end
  end
  for _, name in ipairs(list(dir .. "/running")) do
    assert(uv.fs_rename(dir .. "/running/" .. name, dir .. "/new/" .. name))
  end
end

--- Spawns a job for every task, now and later. With `pending_limit = 0`, `spawn` waits
--- until a slot is free, so no task is taken before its time.
local function take(queue, tasks)
  local changes <close> = uv.new_fs_event()
  assert(changes:start(queue.dir .. "/new"))
  local taken = {}
  while true do
    for _, name in ipairs(list(queue.dir .. "/new")) do
      if not taken[name] then
        tasks:spawn({ name = name }, function()
          taken[name] = true
          local _ <close> = defer(function() taken[name] = nil end)
          work(queue, name)
        end)
      end
    end
    assert(changes:next())
  end
end

--- Works until a signal cancels the main job, which calls this. Returns the signal.
local function serve(queue)
  prepare(queue.dir)
  local tasks = uvjobs.scheduler {
    limit = queue.limit or LIMIT, pending_limit = 0, close_timeout = queue.close or CLOSE,
    exception_handler = function(_, context)
      if context.job then queue.tell(context.job.name .. ": " .. tostring(context.exception)) end
    end,
  }
  local _, err = pcall(take, queue, tasks)
  uvjobs.protect(tasks.wait_and_close, tasks, queue.grace)
  return err.signal or error(err, 0)
end

-- ---- trying it -------------------------------------------------------------

local function add(dir, name, text)
  local file <close> = assert(io.open(dir .. "/new/." .. name, "w"))
  file:write(text, "\n")
  file:flush()
  assert(os.rename(dir .. "/new/." .. name, dir .. "/new/" .. name))
end

local function show(dir)
  for _, name in ipairs { "new", "running", "done", "failed" } do
    print(name .. ":", table.concat(list(dir .. "/" .. name), " "))
  end
end

--- Adds tasks, waits until all but one have ended, and sends the signal.
local function try(dir)
  add(dir, "flaky", ("test -e '%s/seen' || { touch '%s/seen'; exit 1; }"):format(dir, dir))
  add(dir, "hello", "echo hello")
  add(dir, "killed", "kill -KILL $$")
  add(dir, "endless", "trap '' TERM; while true; do sleep 1; done")
  while #list(dir .. "/done") < 3 or #list(dir .. "/failed") < 1 do uvjobs.sleep(0.01) end
  show(dir)
  uv.kill(uv.os_getpid(), "sigterm")
end

local function try_it()
  local dir = assert(uv.fs_mkdtemp "/tmp/work_queue_XXXXXX")
  local _ <close> = defer(function() os.execute("rm -rf " .. dir) end)
  prepare(dir)
  add(dir, "left", "echo again")
  assert(os.rename(dir .. "/new/left", dir .. "/running/left")) -- as a crash leaves it
  local jobs, problems = uvjobs.scheduler(), {}
  jobs:spawn(try, dir)
  print(serve { dir = dir, limit = 4, pause = 0.01, grace = 0.1, close = 0.4, tell = function(text)
    problems[#problems + 1] = text
  end })
  uvjobs.protect(show, dir) -- the main job is still cancelled
  table.sort(problems)
  print(table.concat(problems, "\n"))
end

-- ---- the command line ------------------------------------------------------

local function main(dir)
  if not dir then return try_it() end
  local signal = serve { dir = dir, pause = PAUSE, grace = GRACE, tell = function(text)
    io.stderr:write("14_work_queue.lua: ", text, "\n")
  end }
  print(signal .. ": stopped")
end

-- The command `uvjobs` runs this file as a job; the plain interpreter does not.
if uvjobs.current() then main(...) else uvjobs.run(main, ...) end
