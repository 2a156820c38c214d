-- Finds the words that are most frequent in many files, on all processors. Each file is a job of
-- workers, which counts in a thread and tells by a channel how far it has come. A file that cannot
-- be read fails alone; Ctrl-C cancels all jobs, in the middle of a file, too.
--
--   script/run examples/21_all_cores.lua FILE...
--   uvjobs examples/21_all_cores.lua /usr/share/common-licenses/*
--
-- The exit status is 1 when a file could not be read.

local uvjobs = require "uvjobs"

local MOST <const> = 3 -- words that are shown

--- Runs in a thread: returns how often each word is in a file. It can use nothing from outside but
--- what `require` finds there.
local function count_words(path, progress)
  local BLOCK <const> = 2 ^ 16
  local file <close> = assert(io.open(path))
  local counts = {}
  while true do
    local block, rest = file:read(BLOCK, "L") -- up to the end of a line
    if not block then return counts end
    block = block .. (rest or "")
    for word in block:lower():gmatch "%a+" do counts[word] = (counts[word] or 0) + 1 end
    progress:put(#block)
  end
end

local function add(sums, counts)
  for word, n in pairs(counts) do sums[word] = (sums[word] or 0) + n end
end

local function most_frequent(sums)
  local words = {}
  for word in pairs(sums) do words[#words + 1] = word end
  table.sort(words, function(a, b)
    if sums[a] ~= sums[b] then return sums[a] > sums[b] end
    return a < b
  end)
  return words
end

if #arg == 0 then
  io.stderr:write "usage: 21_all_cores.lua FILE...\n"
  return 2
end

local sums, failed = {}, 0
local blocks <const> = uvjobs.channel(100)
local bar <close> = uvjobs.progress { label = "read", unit = "bytes" }
local readers <close> = uvjobs.scheduler()
readers:spawn(function()
  for size in blocks:items() do bar:add(size) end
end)

do
  local workers <close> = uvjobs.workers { name = "count" } -- as many threads as processors
  local jobs = {}
  for i, path in ipairs(arg) do
    jobs[i] = workers:spawn({ name = path, report = false }, count_words, path, blocks)
  end
  for _, job in ipairs(jobs) do
    local ok, result = job:result()
    if ok then
      add(sums, result)
    else
      failed = failed + 1
      io.stderr:write("failed: ", tostring(result), "\n")
    end
  end
end
blocks:close()
readers:wait_idle()

local words = most_frequent(sums)
for i = 1, math.min(MOST, #words) do print(words[i], sums[words[i]]) end
print(("%d files, %d failed, %d bytes"):format(#arg, failed, bar.count))
return failed == 0 and 0 or 1
