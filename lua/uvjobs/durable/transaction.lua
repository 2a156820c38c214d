-- Transactions of a store: what they do is there together or not at all (D2).

local arguments = require "uvjobs.arguments"
local core = require "uvjobs.core"
local options = require "uvjobs.durable.options"

core.own_source()

local uvjobs = core.public

local transaction = {}

local TYPE <const> = "uvjobs.Transaction"
local TIMEOUT <const> = 5 -- seconds

---@class uvjobs.Transaction
local methods = {}
local Transaction = { __name = TYPE, __metatable = TYPE, __index = methods }

-- What belongs to a transaction: everything else that its job asks for would wait for the
-- end of it.
local INSIDE <const> = { begin = true, commit = true, rollback = true, execute = true }

--- Raises when a job asks for something that would wait for its own transaction.
function transaction.check_outside(store, request)
  local tx = store._transactions[uvjobs.current()]
  if tx and not request.tx and not INSIDE[request.op] then
    error("in a transaction its own methods are to be used: tx:enqueue, tx:execute", 3)
  elseif tx and request.op == "begin" then
    error("this job is in a transaction already", 3)
  end
end

--- The tasks of enqueue_all(); blames its caller.
---@param list table[]
---@return table[] tasks as the store wants them
function transaction.tasks_of(store, list)
  if type(list) ~= "table" then
    arguments.fail(3, 1, "enqueue_all", arguments.unexpected("list of tasks", list))
  end
  local tasks = {}
  for i, given in ipairs(list) do
    if type(given) ~= "table" then
      arguments.fail(3, 1, "enqueue_all", arguments.unexpected_element("table", i, given))
    end
    local ok, one = pcall(options.task, store._kinds, store._args_limit, 0, "enqueue_all", 1,
      given[1], given[2], given[3])
    if not ok then
      arguments.fail(3, 1, "enqueue_all", ("element %d: %s"):format(i,
        tostring(one):gsub("^.-bad argument #%d+ to 'enqueue_all' %((.*)%)$", "%1")))
    end
    tasks[i] = one
  end
  return tasks
end

local function enter(self, name)
  if getmetatable(self) ~= TYPE then arguments.fail_self(3, name, TYPE, self) end
  core.check_suspend(name, 3)
  if self._is_over then error(("'%s': the transaction is over"):format(name), 3) end
end

--- Stores a task in the transaction: as store:enqueue(). Suspends.
--- Errors: those of store:enqueue().
---@param kind string
---@param args any
---@param given? uvjobs.TaskOptions
---@return integer id
---@return boolean new
function methods:enqueue(kind, args, given)
  enter(self, "enqueue")
  local store = self._store
  local one = options.task(store._kinds, store._args_limit, 2, "enqueue", 1, kind, args, given)
  local answer = store:_call({ op = "enqueue", tx = self._number, tasks = { one } })[1]
  self._tasks[#self._tasks + 1] = one
  return answer[1], answer[2]
end

--- Runs a statement of SQL. Suspends.
--- Errors: misuse, also what the database says of the statement; those of store:enqueue().
---@param sql string
---@param ... nil|boolean|number|string its parameters
---@return any[][] rows lists of values; and in `names` their names, in `changes` how many rows
---  were changed
function methods:execute(sql, ...)
  enter(self, "execute")
  if type(sql) ~= "string" then
    arguments.fail(2, 1, "execute", arguments.unexpected("string", sql))
  end
  local parameters = table.pack(...)
  for i = 1, parameters.n do
    local value = parameters[i]
    local kind = type(value)
    if value ~= nil and kind ~= "boolean" and kind ~= "number" and kind ~= "string" then
      arguments.fail(2, i + 1, "execute",
        arguments.unexpected("nil, boolean, number or string", value))
    end
  end
  return self._store:_call {
    op = "execute", tx = self._number, text = sql, parameters = parameters,
  }
end

-- Nobody waits for that: what is asked for later is performed later. A job that waited could be
-- killed meanwhile, which would take the request back, and the transaction would hold up everybody
-- until its time is over.
local function roll_back(store, number)
  if store._is_closed then return end
  pcall(store._port.tell, store._port, { op = "rollback", tx = number })
end

-- As a to-be-closed variable a transaction is rolled back, unless it has been committed.
function Transaction.__close(self)
  local store = self._store
  if not self._is_over then
    self._is_over = true
    roll_back(store, self._number)
  end
  store._transactions[self._job] = nil
end

arguments.refuse_others(TYPE, methods)

--- Calls fn(tx), and commits. store:transaction().
function transaction.run(store, fn, hint)
  local job = uvjobs.current()
  local number = store:_call({ op = "begin" }, {
    undo = function(answer)
      if type(answer) == "table" and answer.value then roll_back(store, answer.value) end
    end,
  })
  local tx <close> = setmetatable({
    _store = store, _number = number, _job = job, _tasks = {}, _is_over = false,
  }, Transaction)
  store._transactions[job] = tx
  local results = table.pack(uvjobs.timeout(TIMEOUT, fn, tx))
  store:_call { op = "commit", tx = number }
  tx._is_over = true
  hint(store, tx._tasks)
  return table.unpack(results, 1, results.n)
end

return transaction
