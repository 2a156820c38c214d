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

-- An answer that cannot be copied must not leave a job without one.
local function answer(mailbox, id, value)
  local ok, err = pcall(mailbox.answer, mailbox, id, value)
  if not ok then mailbox:answer(id, tostring(err)) end
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
    return require(spec.module).open(spec.location, spec.options, nil,
      function() return mailbox:ends() end)
  end, describe)
  mailbox:answer(id, ok and {} or engine)
  return ok and engine or nil
end

-- Requests that wait until a transaction is over: lists of { id, request }.
local kept = {}

-- Whether a request has to wait until the transaction that is open is over.
local function excludes(engine, request)
  return not engine.excludes or engine:excludes(request)
end

-- Moves what may be performed from a list to another; what may not is kept.
local function admit(engine, from, into)
  local number = engine:transaction()
  for _, pair in ipairs(from) do
    if number and pair[2].tx ~= number and excludes(engine, pair[2]) then
      kept[#kept + 1] = pair
    else
      into[#into + 1] = pair
      if pair[2].op == "begin" then number = 0 end -- nothing behind it, before it is known
    end
  end
end

local function receive(mailbox, engine)
  local waiting, new, admitted, n = kept, {}, {}, 0
  while n < MOST_AT_ONCE do
    local id, request = mailbox:receive()
    if not id then break end
    n = n + 1
    new[n] = { id, request }
  end
  if n == 0 and #waiting == 0 then return new end
  if n == 1 and #waiting == 0 and not engine:transaction() then return new end
  kept = {}
  -- Those that have waited are first: behind a `begin` among them the new ones have to wait, too.
  admit(engine, table.move(new, 1, n, #waiting + 1, waiting), admitted)
  return admitted
end

-- Returns whether there was anything to do, and the number of a request to close.
local function perform(mailbox, engine)
  local admitted, requests, closes = receive(mailbox, engine), {}, nil
  if #admitted == 0 then return false end
  if admitted[#admitted][2].op == "close" then closes = table.remove(admitted)[1] end
  if #admitted == 0 then return true, closes end
  for i, pair in ipairs(admitted) do requests[i] = pair[2] end
  local ok, answers = xpcall(engine.perform, describe, engine, requests)
  for i, pair in ipairs(admitted) do answer(mailbox, pair[1], ok and answers[i] or answers) end
  return true, closes
end

local function hear(mailbox, engine)
  local hint = engine:hear()
  if hint ~= nil then mailbox:answer(0, hint) end
end

local function idle(mailbox, engine)
  local warning = engine:idle()
  if warning then mailbox:answer(0, { warning = warning }) end
end

--- Runs until the service is closed. An engine that has just performed something and then hears,
--- mostly of what it has done itself, is not idle.
return function(mailbox, spec)
  local engine, was_busy = open(mailbox, spec), false
  if not engine then return end
  while true do
    local may_go_on = #kept > 0 and not engine:transaction()
    local fd, seconds = engine:fd(), engine.hurry or engine.hears_in or IDLE
    local is_readable = mailbox:wait(fd, may_go_on and 0 or seconds)
    local is_busy, closes = perform(mailbox, engine)
    if closes then
      engine:close()
      mailbox:answer(closes, {})
      return
    end
    if is_readable then hear(mailbox, engine) end
    if not is_busy and mailbox:ends() then break end
    if engine.hurry or not is_busy and not (is_readable and was_busy) then idle(mailbox, engine) end
    was_busy = is_busy
  end
  engine:close()
end
