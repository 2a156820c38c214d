-- Counts the lines and words of a text in a pipeline of three stages:
--
--   reader --[blocks]--> workers --[counts]--> collector
--
-- The stages are jobs, and the queues between them are bounded: a stage that is
-- faster than the next one has to wait for it. So a text of any size is read in
-- a few megabytes of memory. The workers compute in threads of luv.
--
--   script/run examples/04_pipeline.lua [FILE]
--   uvjobs examples/04_pipeline.lua big.log
--
-- FILE is /usr/share/common-licenses/GPL-3 unless given, which every Debian has.
-- It needs luv (Debian: lua-luv). The exit status is 1 when the text cannot be
-- read, or has lines that are not UTF-8.

local uv = require "luv"
local uvjobs = require "uvjobs"

local BLOCK = 8 * 1024 -- bytes that are read at once
local CAPACITY = 4 -- blocks that may wait between two stages
local WORKERS = 4 -- as many as luv has threads
local UNDERWAY = 16 -- blocks anywhere between the reader and the collector

-- ---- the first stage -------------------------------------------------------

--- Returns the next block of whole lines, nil at the end. To hand over each line by
--- itself would cost more than to count its words. This read blocks the loop, but not
--- for long.
local function read_block(file)
  local text, rest, failed = file:read(BLOCK, "L") -- and up to the end of the line
  if failed then error("cannot read: " .. rest, 0) end
  return text and text .. (rest or "")
end

--- Puts the blocks into the queue, with their numbers.
local function read_blocks(pipe, file)
  local number = 0
  for text in read_block, file do
    number = number + 1
    pipe.underway:acquire()
    pipe.blocks:put { number = number, text = text }
    pipe.highest = math.max(pipe.highest, #pipe.blocks)
  end
  pipe.blocks:close() -- the workers get the blocks that are left, and end
end

-- ---- the second stage ------------------------------------------------------

--- Returns how many lines and words there are; the length of the longest line and its
--- number; how many lines are not UTF-8, and the number of the first of these. It runs in
--- a thread, in a Lua state of its own, and so cannot use anything from outside of it.
local function count(text)
  local lines, words, longest, longest_at, bad, bad_at = 0, 0, -1, 0, 0, 0
  if text:sub(-1) ~= "\n" then text = text .. "\n" end
  for line in text:gmatch("([^\n]*)\n") do
    lines = lines + 1
    for _ in line:gmatch("%S+") do words = words + 1 end
    local length = utf8.len(line)
    if not length then
      bad = bad + 1
      if bad == 1 then bad_at = lines end
    elseif length > longest then
      longest, longest_at = length, lines
    end
  end
  return lines, words, longest, longest_at, bad, bad_at
end

--- Returns a function that calls `fn`, which takes one value, in a thread of luv. It
--- suspends until the call has ended, also in a job that is cancelled meanwhile.
local function threaded(fn)
  local resume
  local work = uv.new_work(fn, function(...) resume(...) end)
  return function(value)
    return uvjobs.protect(uvjobs.await, function(how)
      resume = how
      assert(work:queue(value))
    end)
  end
end

--- One of several workers: each block goes to the worker that waits first.
local function worker(pipe)
  local count_block = threaded(count)
  for block in pipe.blocks:items() do
    local lines, words, longest, longest_at, bad, bad_at = count_block(block.text)
    pipe.counts:put {
      number = block.number, bytes = #block.text, lines = lines, words = words,
      longest = longest, longest_at = longest_at, bad = bad, bad_at = bad_at,
    }
  end
end

local function work(pipe)
  local workers = {}
  for i = 1, WORKERS do workers[i] = function() worker(pipe) end end
  uvjobs.all(workers)
  pipe.counts:close() -- only now, because no worker puts anything any more
end

-- ---- the third stage -------------------------------------------------------

local function add(sum, counts)
  if counts.longest > sum.longest then
    sum.longest, sum.longest_at = counts.longest, sum.lines + counts.longest_at
  end
  if sum.bad == 0 and counts.bad > 0 then sum.bad_at = sum.lines + counts.bad_at end
  for _, key in ipairs { "lines", "words", "bytes", "bad" } do
    sum[key] = sum[key] + counts[key]
  end
  sum.blocks = sum.blocks + 1
end

--- The counts come in the order in which the workers finish. But the number of a line is
--- known only when all lines before it were counted, so counts that come early are kept
--- until then. If one block took very long, more and more would be kept: `pipe.underway`
--- stops the reader before that.
local function collect(pipe)
  local sum = { blocks = 0, lines = 0, words = 0, bytes = 0, longest = 0, bad = 0 }
  local early = {}
  for counts in pipe.counts:items() do
    early[counts.number] = counts
    while early[sum.blocks + 1] do
      add(sum, early[sum.blocks + 1])
      early[sum.blocks] = nil
      pipe.underway:release()
    end
  end
  return sum
end

-- ---- all three -------------------------------------------------------------

local function report(sum, pipe)
  print(("%d lines, %d words, %d bytes"):format(sum.lines, sum.words, sum.bytes))
  if sum.longest_at then
    print(("the longest line is line %d: %d characters"):format(sum.longest_at,
      sum.longest))
  end
  if sum.bad > 0 then
    print(("lines that are not UTF-8: %d, the first is line %d"):format(sum.bad,
      sum.bad_at))
  end
  print(("%d blocks; at most %d of them waited for a worker, with room for %d"):format(
    sum.blocks, pipe.highest, CAPACITY))
end

local function main(path)
  local started = uvjobs.now()
  local pipe = {
    blocks = uvjobs.queue(CAPACITY),
    counts = uvjobs.queue(CAPACITY),
    underway = uvjobs.semaphore(UNDERWAY),
    highest = 0,
  }
  local file <close> = assert(io.open(path or "/usr/share/common-licenses/GPL-3"))
  -- An error in one stage cancels the others, and is raised here.
  local results = uvjobs.all {
    function() read_blocks(pipe, file) end,
    function() work(pipe) end,
    function() return collect(pipe) end,
  }
  report(results[3], pipe)
  io.stderr:write(("%.2f s, %.0f KB of Lua memory\n"):format(uvjobs.now() - started,
    collectgarbage("count") // 1))
  if results[3].bad > 0 then os.exit(1) end
end

-- The command `uvjobs` runs this file as a job; the plain interpreter does not.
if uvjobs.current() then main(...) else uvjobs.run(main, ...) end
