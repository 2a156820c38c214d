-- What somebody else has written into the table of tasks, by hand or by a program with a mistake,
-- and no store can have written. One such row would make each claim of its queue fail. To look at
-- each value of each row would cost all the others time, so nobody looks until an operation has
-- failed: then all rows are compared with what can be, and those that cannot are dead, "corrupt".

local mend = {}

local MOST <const> = 1 << 62
local MOST_ATTEMPTS <const> = 1000000
local LONGEST <const> = 10 ^ 18 // 1 | 0   -- microseconds
local MONTH <const> = 30 * 86400 * 1000000 -- microseconds

local MESSAGE <const> = '{"message":"its row had values that no store writes"}'

-- The columns: what they hold, and what takes the place of a value that cannot be.
local INTEGERS <const> = {
  { "priority", 0, 9, 5 }, { "due", -MOST, MOST, 0 }, { "lease", 0, MOST, 0 },
  { "attempt", 0, MOST, 0 }, { "attempts", 1, MOST_ATTEMPTS, 1 }, { "crashes", 0, MOST, 0 },
  { "most_crashes", 1, math.maxinteger, 3 }, { "keep_done", 0, LONGEST, 0 },
  { "keep_dead", 0, LONGEST, MONTH }, { "enqueued", -MOST, MOST, 0 },
}
local TEXTS <const> = { "queue", "kind", "args" }
-- These may be NULL, and become so.
local INTEGERS_OR_NULL <const> = { "started", "ended", "expires" }
local TEXTS_OR_NULL <const> = { "key", "saved", "meta" }

local function is_integer(typed, name, least, most)
  local range = ("%s BETWEEN %d AND %d"):format(name, least, most)
  return typed and range or ("typeof(%s) = 'integer' AND %s"):format(name, range)
end

local function add(list, name, condition, instead)
  list.sound[#list.sound + 1] = "(" .. condition .. ")"
  list.set[#list.set + 1] = ("%s = CASE WHEN %s THEN %s ELSE %s END"):format(name, condition, name,
    instead)
end

local function add_integers(list, typed)
  for _, column in ipairs(INTEGERS) do
    local name, least, most, instead = table.unpack(column, 1, 4)
    add(list, name, is_integer(typed, name, least, most), tostring(instead))
  end
end

-- Where columns have no types, any of them may hold anything.
local function add_types(list)
  for _, name in ipairs(TEXTS) do
    add(list, name, ("typeof(%s) = 'text'"):format(name), ("CAST(%s AS TEXT)"):format(name))
  end
  for _, name in ipairs(INTEGERS_OR_NULL) do
    list.sound[#list.sound + 1] = ("(%s IS NULL OR typeof(%s) = 'integer')"):format(name, name)
  end
  for _, name in ipairs(TEXTS_OR_NULL) do
    add(list, name, ("%s IS NULL OR typeof(%s) = 'text'"):format(name, name), "NULL")
  end
end

--- The SQL for a dialect: `unsound`, a condition that is true for rows which cannot be; and `set`,
--- what such a row becomes.
---@param typed boolean whether the columns have types
---@param now string the date in microseconds, in SQL
---@param no string what is false
---@return { unsound: string, set: string }
function mend.sql(typed, now, no)
  local list = { sound = { "(" .. is_integer(typed, "state", 0, 5) .. ")" }, set = {} }
  add_integers(list, typed)
  if not typed then add_types(list) end
  local keep = ("CASE WHEN %s THEN keep_dead ELSE %d END"):format(
    is_integer(typed, "keep_dead", 0, LONGEST), MONTH)
  local last = ([[state = 4, reason = 'corrupt', errors = '%s', process = NULL, cancelling = %s,
    started = NULL, ended = %s, expires = %s + %s]]):format(MESSAGE, no, now, now, keep)
  list.set[#list.set + 1] = last
  return {
    unsound = "NOT (" .. table.concat(list.sound, " AND ") .. ")",
    set = table.concat(list.set, ", "),
  }
end

--- What people are told: where, and how many.
mend.WARNING = "%s had rows with values that no store writes: %d; tasks among them are dead " ..
  "now, 'corrupt'"

--- Whether what an operation has raised can come from such a row: an error of the database in a
--- statement that is known to be right, or one of ours.
function mend.may_help(err)
  return type(err) ~= "table" or err.code == nil or err.code == "sql"
end

--- Raises what may_help() is true for, when a task has a state that there is none of.
---@param state any
---@param name? string
function mend.check_state(state, name)
  if not name then
    error({ code = "sql", message = ("a task has the state %s"):format(tostring(state)) }, 0)
  end
end

return mend
