--- Plays a program of spec/signals/program.lua, and sends it one signal.
local kill = require "spec.signals.helper"
local program = require "spec.signals.program"
local uvjobs = require "uvjobs"

local ends = {}

-- A machine that does other things may be so much slower, and need so many seconds more.
local SLOW <const> = 5
local MORE <const> = 20

-- Whether a run was over before the signal came, by an error or because it was stuck: then
-- the signal is the program's, and ends it on its way out.
local function has_ended_itself(result)
  for _, line in ipairs(result.out) do
    if line:find "^run " then return not line:find " SIG%u+$" end
  end
  return false
end

--- Must be called in a job. Returns nil when the program has ended as it should; otherwise
--- what was wrong, with the seed.
function ends.play(seed)
  local signal = seed % 2 == 0 and "sigint" or "sigterm"
  local delay = (seed * 7919 % 100) / 500
  local sent, bound
  local function on_line(process, line)
    bound = tonumber(line:match "^bound (.*)") or bound
    if line ~= "ready" or sent then return end
    uvjobs.sleep(delay)
    sent = uvjobs.now()
    process:signal(signal)
  end
  local function play()
    return kill.play { script = program, env = "SEED=" .. seed, on_line = on_line }
  end
  local _, result = uvjobs.race {
    play,
    function()
      repeat uvjobs.sleep(0.1) until sent and uvjobs.now() > sent + bound * SLOW + MORE
    end,
  }
  local function problem(text, ...)
    return ("seed %d, %s after %.3f s: "):format(seed, signal, delay) .. text:format(...)
  end
  if not result then
    return problem("lives on after %.1f s", bound * SLOW + MORE)
  elseif not sent or result.ended < sent then
    return problem("has ended before: %s", result.err)
  elseif result.signal ~= 0 and not has_ended_itself(result) then
    return problem("was ended by the signal %d: %s", result.signal, result.err)
  elseif result.left then
    return problem("has left processes")
  end
  return nil, result.ended - sent, bound
end

return ends
