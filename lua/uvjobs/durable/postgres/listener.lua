-- Hints between processes by NOTIFY and LISTEN, on a connection of their own. A hint may be lost:
-- everybody looks once a second all the same. Each queue is told of once in so many seconds at
-- most, because NOTIFY takes a lock that all commits share.

local link = require "uvjobs.durable.postgres.link"
local native = require "uvjobs.store.postgres"

local Listener = {}
Listener.__index = Listener

local listener = {}

local PAUSE <const> = 0.05            -- seconds between two hints of a queue
local SHORTEST <const> = 0.001        -- seconds until a hint that the last one is in the way of
local AGAIN <const>, MOST <const> = 0.2, 10 -- seconds until it connects again

-- A hint is not worth to be waited for until it is on the disk.
local SETTINGS <const> = [[SELECT set_config('application_name', 'uvjobs hints', false),
  set_config('synchronous_commit', 'off', false)]]

local NOTIFY <const> = "SELECT pg_notify($1, queue) FROM unnest($2::text[]) AS queue"

--- A queue has new tasks: others are told when flush() is called.
function Listener:tell(queue, everywhere)
  if not self.text then return end
  self.pending[queue] = true
  if everywhere then self.own[queue] = true end
end

-- The queues that may be told of now.
local function take_pending(self, now)
  local queues = { n = 0 }
  for queue in pairs(self.pending) do
    if now - (self.told[queue] or -math.huge) >= PAUSE then
      queues.n = queues.n + 1
      queues[queues.n] = queue
      self.pending[queue], self.told[queue] = nil, now
    end
  end
  return queues
end

-- The times of queues that nobody adds to any more are forgotten.
local function forget_old(self, now)
  if now - self.cleaned < 1 then return end
  self.cleaned = now
  for queue, time in pairs(self.told) do
    if now - time > PAUSE then self.told[queue] = nil end
  end
end

-- In how many seconds the next queue may be told of; nil without any.
local function time_left(self)
  local now, least = native.now(), nil
  for queue in pairs(self.pending) do
    local left = (self.told[queue] or now) + PAUSE - now
    if not least or left < least then least = left end
  end
  return least and math.max(least, SHORTEST)
end

--- Tells others of the queues that there are. Never waits. Returns in how many seconds it is to be
--- called again, or nil.
function Listener:flush()
  if next(self.pending) == nil then return nil end
  if not self.link then
    self.pending = {}
    return nil
  end
  if not self.is_busy then
    local now = native.now()
    local queues = take_pending(self, now)
    forget_old(self, now)
    if queues.n > 0 then
      self.is_busy = self.link.conn:query(NOTIFY, { self.channel, queues, n = 2 })
      self.link.conn:flush()
    end
  end
  return time_left(self)
end

local function lose(self)
  self.link:close()
  self.link, self.is_busy = nil, false
  self.failures = self.failures + 1
  self.again_at = native.now() + math.min(AGAIN * 2 ^ self.failures, MOST)
end

-- The queues of the notices that have come from others.
local function queues_of(self, notices)
  local queues, seen, own_pid = {}, {}, self.link.conn:pid()
  for _, notice in ipairs(notices) do
    local queue = notice[2]
    local is_own = notice[3] == own_pid and not self.own[queue]
    if notice[3] == own_pid then self.own[queue] = nil end
    if not is_own and not seen[queue] then
      seen[queue] = true
      queues[#queues + 1] = queue
    end
  end
  return queues
end

--- What has come: names of queues, `true` for any of them after a loss, nil for nothing.
function Listener:hear()
  if not self.link then return nil end
  local conn = self.link.conn
  if not conn:consume() or conn:is_broken() then
    lose(self)
    return true
  end
  while self.is_busy and not conn:is_busy() do
    self.is_busy = conn:result() ~= nil
  end
  local queues = queues_of(self, conn:notices())
  return queues[1] and queues or nil
end

local function connect(self)
  local opened = link.open(self.text, self.given)
  self.link = opened
  opened.conn:query(SETTINGS, { n = 0 })
  opened.conn:flush()
  self.is_busy = true
  local deadline = native.now() + self.given.timeout
  while self.is_busy and native.now() < deadline do
    native.wait(opened.conn:fd(), true, false, 0.1)
    self:hear()
    if not self.link then return end
  end
  opened.conn:simple('LISTEN "' .. self.channel:gsub('"', '""') .. '"')
  opened.conn:flush()
  self.is_busy, self.failures = true, 0
end

--- Connects again when the time for it has come.
function Listener:keep()
  if self.link or not self.text or native.now() < self.again_at then return end
  if pcall(connect, self) then return end
  self.failures = self.failures + 1
  self.again_at = native.now() + math.min(AGAIN * 2 ^ self.failures, MOST)
end

function Listener:fd()
  return self.link and self.link.conn:fd()
end

function Listener:close()
  if self.link then self.link:close() end
  self.link = nil
end

--- A listener on the channel of a schema.
---@param text? string the connection string; nil when there is nobody to listen to
---@param given table as for link.open
function listener.new(text, channel, given)
  return setmetatable({
    text = text, channel = channel, given = given, pending = {}, told = {}, own = {},
    is_busy = false, failures = 0, again_at = 0, cleaned = 0,
  }, Listener)
end

return listener
