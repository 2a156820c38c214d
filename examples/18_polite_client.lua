-- A client that is polite to a server, and patient with it: it makes at most RATE requests a
-- second and LIMIT at a time, gives each SECONDS, tries again what may succeed the next
-- time, waits as long as the server asks for, and leaves a server alone that is down. All
-- of that is one value, made of policies.
--
--   script/run examples/18_polite_client.lua
--
-- It tries this against a server of its own that misbehaves in every way: it hangs, hangs
-- up, talks nonsense, answers that it is busy, and goes down. A request is a line, and so is
-- the answer: "ok ...", "busy SECONDS" or "no ...". It needs luv (Debian: lua-luv).

local uvjobs = require "uvjobs"
local policy = require "uvjobs.policy"
local uv = require "uvjobs.uv"

local HOST = "127.0.0.1"
local SECONDS = 0.4 -- of one request
local LIMIT = 4 -- requests at a time
local RATE, BURST = 200, 20 -- requests a second, and how many of them at once
local OPEN = 2 -- seconds that a server is left alone

-- ---- the client ------------------------------------------------------------

--- Asks once. Errors are tables that say whether it is worth while to ask again.
local function ask(port, text)
  local client <close>, why = uv.connect(HOST, port)
  if not client then error({ again = true, what = why }) end
  client:write { text, "\n" }
  local answer = client:read_line(1000)
  if not answer then error({ again = true, what = "it has hung up" }) end
  local word, rest = answer:match "^(%l+) (.*)$"
  if word == "ok" then return rest end
  if word == "busy" then error({ again = true, what = answer, retry_after = tonumber(rest) }) end
  if word == "no" then error({ again = false, what = answer }) end
  error({ again = true, what = "this is no answer" })
end

--- Whether an error says that the server is in trouble, rather than that the question is
--- wrong or comes too early.
local function is_trouble(err)
  return type(err) ~= "table" or err.again and not err.retry_after
end

--- The policies, the outermost first: so the deadline is one for all attempts, and each
--- attempt takes its turn; when it has come, it hears whether the server is down; if not,
--- its own time limit begins.
local function new_service()
  local breaker = policy.breaker {
    ratio = 0.8, minimum = 20, window = 5, open = OPEN, when = is_trouble,
  }
  return policy.compose {
    policy.timeout { name = "deadline", seconds = 20 },
    policy.retry {
      attempts = 10, backoff = { base = 0.01, max = 0.1 },
      when = function(err)
        if uvjobs.code(err) then return uvjobs.code(err) == "timeout" end
        return type(err) == "table" and err.again
      end,
      delay = function(err) return type(err) == "table" and err.retry_after or nil end,
    },
    policy.rate { rate = RATE, burst = BURST },
    policy.limit { limit = LIMIT },
    breaker,
    policy.timeout { name = "attempt", seconds = SECONDS },
  }, breaker
end

-- ---- the server ------------------------------------------------------------

--- How the server behaves: its answer to the n-th request of a trial, or nil when it has
--- hung up.
local moods = {}

function moods.good(_, text) return "ok " .. text:upper() end

function moods.rude(n, text)
  if n % 3 == 0 then return nil end
  if n % 7 == 1 then return "\0\255 what?" end
  if n % 11 == 2 then uvjobs.sleep(60) end
  return moods.good(n, text)
end

function moods.busy(n, text)
  if n <= LIMIT then return "busy 0.3" end
  return moods.good(n, text)
end

function moods.strict() return "no such thing" end

function moods.down() return nil end

local function serve_client(server, client)
  local text = client:read_line(1000)
  if not text then return end
  server.times[#server.times + 1] = uvjobs.now()
  local answer = moods[server.mood](#server.times, text)
  if answer then client:write { answer, "\n" } end
end

--- Starts the server in a job of `jobs`. `times` are those of the requests of a trial.
local function start_server(jobs)
  local server, listening = { mood = "good", times = {} }, uvjobs.event()
  jobs:spawn(uv.serve, HOST, 0, {
    stop_timeout = 0,
    on_listen = function(address) server.port = address.port listening:set() end,
  }, function(client) serve_client(server, client) end)
  listening:wait()
  return server
end

-- ---- trying it -------------------------------------------------------------

local asking, most_asking = 0, 0

--- ask(), which counts how many do so at a time.
local function counted_ask(...)
  asking = asking + 1
  most_asking = math.max(most_asking, asking)
  local _ <close> = setmetatable({}, { __close = function() asking = asking - 1 end })
  return ask(...)
end

--- Asks `count` questions side by side. Returns how many answers were right, and how often
--- each error came.
local function ask_many(service, server, count)
  local right, errors = 0, {}
  server.times = {}
  local names = {}
  for i = 1, count do names[i] = "question " .. i end
  uvjobs.each(names, function(text)
    local ok, answer = pcall(service.call, service, counted_ask, server.port, text)
    if ok then
      right = right + (answer == text:upper() and 1 or 0)
    else
      local what = uvjobs.code(answer) or answer.what
      errors[what] = (errors[what] or 0) + 1
    end
  end, { limit = count })
  return right, errors
end

--- How many requests came within a second at most.
local function most_in_a_second(times)
  local most, first = 0, 1
  for last = 1, #times do
    while times[last] - times[first] >= 1 do first = first + 1 end
    most = math.max(most, last - first + 1)
  end
  return most
end

local function main()
  local jobs <close> = uvjobs.scheduler { close_timeout = 1 }
  local server = start_server(jobs)
  local service, breaker = new_service()

  local right = ask_many(service, server, 100)
  print("a good server:", right, "of 100")
  -- Requests are on their way for different times, so the server may see a few more.
  print("  within the rate:", most_in_a_second(server.times) <= RATE + BURST + LIMIT)

  server.mood = "rude"
  right = ask_many(service, server, 50)
  print("a rude server:", right, "of 50")
  print("  it was asked again:", #server.times > 50)

  server.mood = "busy"
  right = ask_many(service, server, LIMIT)
  print("a busy server:", right, "of " .. LIMIT)
  print("  it got the time that it wanted:", server.times[LIMIT + 1] - server.times[1] >= 0.3)

  server.mood = "strict"
  local _, errors = ask_many(service, server, 10)
  print("a strict server:", errors["no such thing"], "of 10 were refused")
  print("  it was asked once for each:", #server.times == 10)

  breaker:close() -- forgets what was counted so far
  server.mood = "down"
  _, errors = ask_many(service, server, 100)
  print("a server that is down:", errors.open, "of 100 were not made, or not to the end")
  print("  it was left alone after some requests:", #server.times <= 20 + LIMIT)
  local asked = #server.times
  local ok, err = pcall(service.call, service, ask, server.port, "now?")
  print("  nobody asks now:", not ok and err.code == "open" and #server.times == asked)
  print("  and it is known until when:", err.retry_after > 0 and err.retry_after <= OPEN)

  server.mood = "good"
  uvjobs.sleep(OPEN)
  right = ask_many(service, server, 1)
  print("when it is back:", right, "of 1", breaker:state())
  print("never more requests at a time than " .. LIMIT .. ":", most_asking <= LIMIT)

  jobs:close()
end

-- The command `uvjobs` runs this file as a job; the plain interpreter does not.
if uvjobs.current() then main() else uvjobs.run(main) end
