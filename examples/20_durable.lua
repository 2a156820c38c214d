-- Makes thumbnails of pictures as durable tasks, in a process that is killed three times with
-- SIGKILL in the middle of its work. Nothing is lost: each time a new process goes on where the
-- old one was, and in the end every thumbnail is there.
--
--   script/run examples/20_durable.lua [COUNT [STORE]]
--   uvjobs examples/20_durable.lua                        with the rock installed
--   uvjobs examples/20_durable.lua 10000 postgres://shop@localhost/shop
--
-- COUNT is the number of pictures, 10000 unless given. STORE is where the tasks are, such as
-- sqlite:/tmp/jobs.db; by default a file in the directory of the pictures, which is removed. The
-- store in a file needs the rock uvjobs-sqlite.
--
-- A task that runs when its process is killed runs again: at least once is what a store can
-- promise. So each thumbnail is written beside its place and moved there, and it does not matter
-- how often that is done.

local durable = require "uvjobs.durable"
local uvjobs = require "uvjobs"

local KILLS, AT_ONCE = 3, 8
local SIZE, SMALL = 64, 8 -- pixels of a picture, and of a thumbnail, in each direction

-- ---- pictures ----------------------------------------------------------------------

local function write(path, text)
  local file <close> = assert(io.open(path, "wb"))
  assert(file:write(text))
end

local function read(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read "a"
end

--- A grey picture as a PGM file, different for each number.
local function draw(path, number)
  local rows = {}
  for y = 0, SIZE - 1 do
    local row = {}
    for x = 0, SIZE - 1 do row[x + 1] = string.char((x * number + y * y) % 256) end
    rows[y + 1] = table.concat(row)
  end
  write(path, ("P5\n%d %d\n255\n"):format(SIZE, SIZE) .. table.concat(rows))
end

--- The mean of each square of pixels.
local function shrink(picture)
  local width, height, at = picture:match "^P5\n(%d+) (%d+)\n255\n()"
  local step, out = width // SMALL, {}
  for y = 0, height - 1, step do
    for x = 0, width - 1, step do
      local sum = 0
      for dy = 0, step - 1 do
        local first = at + ((y + dy) * width + x) // 1 | 0
        for _, pixel in ipairs { picture:byte(first, first + step - 1) } do sum = sum + pixel end
      end
      out[#out + 1] = string.char(sum // (step * step))
    end
  end
  return ("P5\n%d %d\n255\n"):format(SMALL, SMALL) .. table.concat(out)
end

-- ---- the worker, a process of its own ----------------------------------------------

--- Runs tasks until none is left. After `most` thumbnails it kills itself, as the lack of memory,
--- an administrator or a loss of power would.
local function work(where, directory, most)
  local store <close> = durable.open(where, { durability = "normal" })
  local made, log = 0, assert(io.open(directory .. "/log", "a"))
  log:setvbuf "no"
  store:define("thumbnail", { most_crashes = KILLS + 1 }, function(_, name)
    local path = directory .. "/small/" .. name
    log:write(name, "\n")
    write(path .. ".part", shrink(read(directory .. "/" .. name)))
    assert(os.rename(path .. ".part", path))
    made = made + 1
    if made == most then os.execute "kill -KILL $PPID" end
  end)
  local _ <close> = store:work { queues = { default = AT_ONCE } }
  while next(store:stats().queues) do uvjobs.sleep(0.02) end
end

-- ---- the program -------------------------------------------------------------------

--- The command by which this script was started, as text of the shell.
local function own_command()
  local words, i = {}, 0
  while arg[i - 1] do i = i - 1 end
  for k = i, 0 do words[#words + 1] = "'" .. arg[k]:gsub("'", [['\'']]) .. "'" end
  return table.concat(words, " ")
end

local function count_names(path)
  local runs, again = {}, 0
  for name in io.lines(path) do
    if runs[name] then again = again + 1 end
    runs[name] = true
  end
  return again
end

local function is_there(path)
  local file = io.open(path)
  if file then file:close() end
  return file ~= nil
end

local function main(count, where)
  local directory = os.tmpname()
  os.remove(directory)
  assert(os.execute(("mkdir -p '%s/small'"):format(directory)))
  where = where or "sqlite:" .. directory .. "/jobs.db"

  local names, tasks = {}, {}
  for i = 1, count do
    names[i] = ("picture%05d.pgm"):format(i)
    draw(directory .. "/" .. names[i], i)
    tasks[i] = { "thumbnail", names[i], { remote = true } }
  end
  do
    local store <close> = durable.open(where, { durability = "normal" })
    store:enqueue_all(tasks)
  end
  print(count .. " pictures, a task for each")

  for run = 1, KILLS + 1 do
    local most = run <= KILLS and count // (KILLS + 1) or 0
    local command = ("%s --worker '%s' '%s' %d"):format(own_command(), where, directory, most)
    local ok, kind, number = os.execute("exec 2>/dev/null; " .. command .. "; exit $?")
    if number == 137 then kind, number = "signal", 9 end
    print(("process %d: %s"):format(run, ok and "has ended" or kind .. " " .. number))
  end

  local there = 0
  for _, name in ipairs(names) do
    if is_there(directory .. "/small/" .. name) then there = there + 1 end
  end
  print(("%d of %d thumbnails are there"):format(there, count))
  print(("%d tasks ran again because their process was killed"):format(
    count_names(directory .. "/log")))
  os.execute(("rm -r '%s'"):format(directory))
end

local first, second, third, fourth = ...
if first == "--worker" then
  work(second, third, tonumber(fourth))
else
  main(tonumber(first) or 10000, second)
end
