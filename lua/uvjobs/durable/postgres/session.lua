-- What operations see of a connection: texts are written for the schema, and a transaction begins
-- with the first round in it.

local Session = {}
Session.__index = Session

local session = {}

--- Sends queries together; returns their results.
function Session:round(queries)
  local written = {}
  if self.begins then
    self.begins, self.is_begun = false, true
    written[1] = { "BEGIN", n = 0 }
  end
  local offset = #written
  for i, query in ipairs(queries) do
    local copy = { self.write(query[1]), n = query.n }
    table.move(query, 2, query.n + 1, 2, copy)
    written[offset + i] = copy
  end
  local results = self.link:round(written)
  if offset == 1 then table.remove(results, 1) end
  return results
end

--- One query; returns its result.
function Session:ask(text, ...)
  return self:round({ { text, n = select("#", ...), ... } })[1]
end

--- A queue has new tasks. `everywhere`: this process does not know it, either.
function Session:tell(queue, everywhere)
  self.listener:tell(queue, everywhere)
end

--- Begins a transaction with the next round.
function Session:begin()
  self.begins, self.is_begun = true, false
end

--- Ends it. Raises when the server has given it up.
function Session:commit()
  self.begins = false
  if not self.is_begun then return end
  self.is_begun = false
  if self:ask("COMMIT").command == "ROLLBACK" then
    error({ code = "unavailable", message = "PostgreSQL has rolled the transaction back" }, 0)
  end
end

function Session:roll_back()
  self.begins = false
  if not self.is_begun then return end
  self.is_begun = false
  pcall(self.ask, self, "ROLLBACK")
end

--- Calls fn(session, ...) in a transaction.
function Session:in_transaction(fn, ...)
  self:begin()
  local ok, err = pcall(fn, self, ...)
  if ok then ok, err = pcall(self.commit, self) end
  if ok then return end
  self:roll_back()
  error(err, 0)
end

--- A session on a link.
---@param engine table with `write`, `listener` and `running`
function session.new(engine, link)
  return setmetatable({
    link = link, write = engine.write, listener = engine.listener, running = engine.running,
  }, Session)
end

return session
