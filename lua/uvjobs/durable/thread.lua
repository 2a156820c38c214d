-- What runs in the thread of a store: an engine, which performs what it is asked for in the
-- order in which it comes. Nothing here knows jobs; this is another Lua state.

local MOST_AT_ONCE <const> = 1000 -- requests that are performed together
local IDLE <const> = 1            -- seconds

local function describe(err)
  if type(err) == "table" and err.code then
    return { code = err.code, message = err.message, stored = err.stored }
  end
  return debug.traceback(tostring(err), 2)
end

-- Waits for the request to open the engine, and answers it. Returns the engine, or nil when
-- there is none.
local function open(mailbox, spec)
  local id
  repeat
    if mailbox:ends() then return nil end
    mailbox:wait()
    id = mailbox:receive()
  until id
  local ok, engine = xpcall(function()
    return require(spec.module).open(spec.location, spec.options)
  end, describe)
  mailbox:answer(id, ok and {} or engine)
  return ok and engine or nil
end

local function receive(mailbox)
  local ids, requests, n = {}, {}, 0
  while n < MOST_AT_ONCE do
    local id, request = mailbox:receive()
    if not id then break end
    n = n + 1
    ids[n], requests[n] = id, request
  end
  return ids, requests, n
end

local function perform(mailbox, engine)
  local ids, requests, n = receive(mailbox)
  if n == 0 then return false end
  local ok, answers = xpcall(engine.perform, describe, engine, requests)
  for i = 1, n do mailbox:answer(ids[i], ok and answers[i] or answers) end
  return true
end

local function hear(mailbox, engine)
  local hint = engine:hear()
  if hint ~= nil then mailbox:answer(0, hint) end
end

--- Runs until the service is closed.
return function(mailbox, spec)
  local engine = open(mailbox, spec)
  if not engine then return end
  while true do
    local is_readable = mailbox:wait(engine:fd(), IDLE)
    local is_busy = perform(mailbox, engine)
    if is_readable then hear(mailbox, engine) end
    if not is_busy then
      if mailbox:ends() then break end
      engine:idle()
    end
  end
  engine:close()
end
