-- Asks several mirrors at once and takes the first good answer. An error is no answer,
-- a deadline limits the whole, and the connections to all other mirrors are closed. The
-- mirrors are simulated: they sleep, and then answer or fail.
--
--   script/run examples/05_first_answer.lua
--   uvjobs examples/05_first_answer.lua     -- with the rock installed

local uvjobs = require "uvjobs"

local MIRROR_LIMIT = 0.5 -- seconds that one mirror gets

-- ---- a simulated network ---------------------------------------------------

--- Makes a connection to a mirror, as a `<close>` variable: so it is closed however its job
--- ends. Closing suspends, and in a cancelled job that needs `protect`.
local function connect(mirror)
  return setmetatable({}, {
    __close = function(_, err)
      uvjobs.protect(uvjobs.sleep, 0.01)
      print(("  %s: connection closed (%s)"):format(mirror.name,
        err and (uvjobs.code(err) or "failed") or "finished"))
    end,
  })
end

local function fetch(mirror, file)
  local _ <close> = connect(mirror)
  uvjobs.sleep(mirror.delay)
  if mirror.problem then error(mirror.name .. ": " .. mirror.problem, 0) end
  return file .. " from " .. mirror.name
end

-- ---- the first good answer -------------------------------------------------

--- Asks one mirror, and keeps its error in `failures`.
local function ask(mirror, file, failures)
  local ok, answer = pcall(uvjobs.timeout, MIRROR_LIMIT, fetch, mirror, file)
  if ok then return answer end
  if uvjobs.code(answer) == "timeout" then answer = mirror.name .. ": no answer" end
  failures[#failures + 1] = tostring(answer)
  error(answer, 0)
end

--- Returns the first answer. Raises an error when there is none from any mirror,
--- and `timeout` when there is none after `limit` seconds.
local function download(file, mirrors, limit)
  local questions, failures = {}, {}
  for i, mirror in ipairs(mirrors) do
    questions[i] = function() return ask(mirror, file, failures) end
  end
  local ok, err, answer = pcall(uvjobs.timeout, limit, uvjobs.any, questions)
  if ok then return answer end
  if uvjobs.code(err) then error(err, 0) end -- the deadline, or Ctrl-C
  error("all mirrors failed:\n    " .. table.concat(failures, "\n    "), 0)
end

-- ---- three downloads -------------------------------------------------------

local function try(title, mirrors, limit)
  print(title)
  local ok, result = pcall(download, "data.tar", mirrors, limit)
  if ok then
    print("  got " .. result)
  elseif uvjobs.code(result) == "timeout" then
    print(("  nothing came in %g s"):format(limit))
  elseif uvjobs.code(result) then
    error(result, 0) -- this job was cancelled, by Ctrl-C perhaps
  else
    print("  " .. result)
  end
end

local function main()
  try("1. the fastest one fails, the next one answers", {
    { name = "slow", delay = 0.4 },
    { name = "good", delay = 0.2 },
    { name = "broken", delay = 0.1, problem = "connection refused" },
  }, 5)
  try("2. no mirror has it, and one says nothing for too long", {
    { name = "broken", delay = 0.1, problem = "connection refused" },
    { name = "empty", delay = 0.2, problem = "no such file" },
    { name = "asleep", delay = 60 },
  }, 5)
  try("3. the whole takes too long", {
    { name = "slow", delay = 0.4 },
    { name = "slower", delay = 0.45 },
  }, 0.2)
end

-- The command `uvjobs` runs this file as a job; the plain interpreter does not.
if uvjobs.current() then main(...) else uvjobs.run(main, ...) end
