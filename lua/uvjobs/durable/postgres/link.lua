-- A connection to PostgreSQL that is never waited for without a limit. What is sent together is
-- answered together: a round trip is what costs most.

local native = require "uvjobs.store.postgres"

local Link = {}
Link.__index = Link

local link = {}

local LIMIT <const> = 5    -- seconds that the server may take to answer
local SLICE <const> = 0.05 -- seconds between two looks whether the thread is to end
local GRACE <const> = 0.05 -- seconds that an answer may take when it is

local MOST_PREPARED <const> = 300

-- ---- errors ------------------------------------------------------------------------

-- Classes of SQLSTATE and states that say that the server cannot do it now.
local UNAVAILABLE <const> = {
  ["08"] = true, ["53"] = true, ["57"] = true, ["58"] = true, ["40"] = true, ["55P03"] = true,
  ["25006"] = true, ["25P02"] = true, ["25P03"] = true, ["28000"] = true, ["28P01"] = true,
  ["3D000"] = true,
}
-- Among them those after which the server has closed the connection.
local CLOSING <const> = { ["57P01"] = true, ["57P02"] = true, ["57P03"] = true, ["25P03"] = true }
local CORRUPT <const> = { ["XX001"] = true, ["XX002"] = true }

local function code_of(state)
  if not state or UNAVAILABLE[state] or UNAVAILABLE[state:sub(1, 2)] then return "unavailable" end
  return CORRUPT[state] and "corrupt" or "sql"
end

local function problem(self, state, message, is_lost)
  return {
    code = code_of(state), state = state, is_lost = is_lost,
    message = "PostgreSQL: " .. self.censor(message),
  }
end

-- The connection is of no use any more.
local function lose(self, message)
  local said = self.conn:message() or ""
  self:close()
  error(problem(self, nil, message or (said ~= "" and said) or "the connection was lost", true), 0)
end

-- ---- waiting -----------------------------------------------------------------------

-- When the thread is to end, an answer has only a little time left.
local function deadline_of(self, deadline)
  if self.ends and self.ends() then
    self.hurries = self.hurries or native.now() + GRACE
    return math.min(deadline, self.hurries)
  end
  return deadline
end

-- Waits for the socket; loses the connection when it takes too long.
local function await(self, reads, writes, deadline)
  while true do
    local left = deadline_of(self, deadline) - native.now()
    if left <= 0 then lose(self, "the server does not answer") end
    if native.wait(self.conn:fd(), reads, writes, math.min(left, SLICE)) then return end
  end
end

local function flush(self, deadline)
  while not self.conn:flush() do
    await(self, true, true, deadline)
    if not self.conn:consume() then lose(self) end
  end
end

local function next_result(self, deadline)
  while self.conn:is_busy() do
    await(self, true, false, deadline)
    if not self.conn:consume() then break end -- the last results may still say why
  end
  return self.conn:result()
end

-- ---- a round -----------------------------------------------------------------------

local function check_sent(self, sent)
  if not sent then lose(self) end
end

-- Sends a query; returns the name by which it is prepared when that had to be done first.
local function send(self, query)
  local text, conn = query[1], self.conn
  local parameters = { n = query.n or 0 }
  for i = 1, parameters.n do parameters[i] = query[i + 1] end
  if self.is_pooled then
    check_sent(self, conn:query(text, parameters))
    return nil
  end
  local name, new = self.prepared[text], nil
  if not name then
    self.count = self.count + 1
    name = "uvjobs_" .. self.count
    check_sent(self, conn:prepare(name, text))
    new = name
  end
  check_sent(self, conn:execute(name, parameters))
  return new
end

-- Reads the results of one query, of which there is one.
local function read(self, deadline, failure)
  local result = next_result(self, deadline)
  if not result then lose(self) end
  if result.status ~= "sync" then next_result(self, deadline) end
  if result.status == "failed" then
    if not result.state or CLOSING[result.state] then lose(self, result.message) end
    return result, failure or result
  end
  return result, failure
end

-- A text that stands twice in a round is prepared twice: what counts is a name the server knows.
local function read_all(self, queries, names, deadline)
  local results, failure, at = {}, nil, nil
  local function one(i)
    local result, now_failed = read(self, deadline, failure)
    if now_failed and not failure then failure, at = now_failed, i end
    return result
  end
  for i = 1, #queries do
    local name = names[i]
    if name and one(i).status == "done" then self.prepared[queries[i][1]] = name end
    results[i] = one(i)
  end
  local sync = one(#queries + 1)
  if sync.status ~= "sync" and not failure then lose(self) end
  while sync.status ~= "sync" do sync = one(#queries + 1) end
  return results, failure, at
end

--- Sends queries, each a list of a text and its parameters with `n`, how many these are, and
--- returns a list of their results. They are one transaction unless one is open.
--- Raises { code, message, state, is_lost, at }: `at` is which query has failed; with `is_lost` the
--- connection is closed, and what was sent may have happened.
function Link:round(queries)
  local deadline, names = native.now() + (self.limit or LIMIT), {}
  if not self.conn then error(problem(self, nil, "the connection was lost"), 0) end
  if self.count > MOST_PREPARED then self:forget_prepared() end
  for i, query in ipairs(queries) do names[i] = send(self, query) end
  check_sent(self, self.conn:sync())
  flush(self, deadline)
  local results, failure, at = read_all(self, queries, names, deadline)
  if not failure then return results end
  local err = problem(self, failure.state, failure.message)
  err.at = at
  error(err, 0)
end

--- One query, as a round of its own. Returns its result.
function Link:ask(text, ...)
  return self:round({ { text, n = select("#", ...), ... } })[1]
end

--- New names are used from now on; the server forgets the old ones with the next round.
function Link:forget_prepared()
  self.prepared, self.count = {}, 0
  self:simple "DEALLOCATE ALL"
end

--- Runs a text of one or more statements without parameters.
function Link:simple(text)
  return self:round_unprepared { { text, n = 0 } }
end

--- A round of queries that are not worth to be prepared.
function Link:round_unprepared(queries)
  local was_pooled <const> = self.is_pooled
  self.is_pooled = true
  local ok, results = pcall(self.round, self, queries)
  self.is_pooled = was_pooled
  if not ok then error(results, 0) end
  return results
end

--- Whether the connection is there, as far as can be known without asking.
function Link:is_open()
  if not self.conn then return false end
  if native.wait(self.conn:fd(), true, false, 0) then
    if not self.conn:consume() or self.conn:is_broken() then
      self:close()
      return false
    end
  end
  return true
end

function Link:close()
  if self.conn then self.conn:close() end
  self.conn = nil
end

-- ---- connecting --------------------------------------------------------------------

local function begin(self, text)
  return native.connect({ "fallback_application_name", "dbname", "client_encoding" },
    { "uvjobs", text, "UTF8" }), native.now() + self.timeout
end

local function connect(self, text)
  local conn, deadline = begin(self, text)
  self.conn = conn
  local state = conn:is_broken() and "failed" or "writing"
  while state ~= "connected" do
    if state == "failed" then lose(self) end
    await(self, state == "reading", state == "writing", deadline)
    state = conn:poll()
  end
end

--- Connects, and begins the pipeline unless it is for LISTEN.
---@param text string the connection string
---@param given table `censor`, `timeout`, `ends`, `is_pooled`, `listens`
function link.open(text, given)
  local self = setmetatable({
    censor = given.censor, timeout = given.timeout, ends = given.ends,
    is_pooled = given.is_pooled, prepared = {}, count = 0,
  }, Link)
  connect(self, text)
  if not given.listens and not self.conn:begin_pipeline() then lose(self) end
  return self
end

--- Whether a pooler stands between, which gives each transaction a process of its own: the number
--- of the server's process that it names is its own invention.
function Link:finds_pooler()
  return self:round_unprepared({ { "SELECT pg_backend_pid()", n = 0 } })[1][1][1] ~= self.conn:pid()
end

return link
