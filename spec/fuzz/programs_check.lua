-- Runs programs, checks them, and makes those that fail smaller.

local World = require "spec.fuzz.programs_exec"
local text_of = require "spec.fuzz.programs_text"
local tree = require "spec.fuzz.programs_tree"
local core = require "uvjobs.core"
local uvjobs = require "uvjobs"
require "spec.fuzz.programs_end"

local check = {}

-- The main job starts the program, waits for it, and closes all schedulers.
local function main(world, program)
  local record = world:record("main")
  local env = { record = record, stack = {}, scopes = {} }
  world:know(record, uvjobs.current())
  record.started, record.is_over, record.returned = true, true, true
  world:build()
  local root = world:record("job", world.by_name.root)
  local scheduler = world.by_name.root.s
  world:spawned(root, scheduler:spawn(world.body, world, root, program.body))
  local limit = not program.patient and 100 or nil
  world:call(env, { what = "join", target = root, waits = "target", limit = limit },
    root.job.join, root.job, limit)
  for _, name in ipairs { "s1", "s2", "root" } do
    local entry = world.by_name[name]
    local ok, err = pcall(world.call, world, env, {
      what = "wait_and_close ", thing = entry, waits = "idle", passes_errors = true,
      acts = entry.options.wait_timeout,
      limit = entry.options.wait_timeout + entry.options.close_timeout,
    }, entry.s.wait_and_close, entry.s)
    if not ok then
      world:nursery_raised(entry, err)
      if uvjobs.code(err) == "cancelled" and err.job == record.job then error(err, 0) end
    else
      world:over(env, entry)
    end
  end
end

--- Runs a program. Returns nil or what is wrong, the trace, and the world.
function check.play(program)
  local world = World.new(program)
  -- The runs of policies are in schedulers of their own, which have no handler.
  local before = core.set_handler(function(_, context) world:report(context) end)
  local ok, err = pcall(uvjobs.run, { clock = "virtual", shuffle = program.shuffle,
    signals = false }, main, world, program)
  core.set_handler(before)
  world:check_end(ok, err)
  return world.broken, world.trace, world
end

--- Runs a program; with `twice` again, and then it must do the same.
function check.program(program, twice)
  local broken, trace, world = check.play(program)
  if broken or not twice then return broken, trace, world end
  local again, other = check.play(program)
  if again then return again, other, world end
  for i = 1, math.max(#trace, #other) do
    if trace[i] ~= other[i] then
      return ("line %d of the trace is not the same again: %s"):format(i, other[i]), trace, world
    end
  end
  return nil, trace, world
end

function check.seed(seed, twice)
  return check.program(tree.program(seed), twice or seed % 4 == 0)
end

-- ---- smaller ---------------------------------------------------------------------

local function kind_of(broken) return (broken:gsub("%d+", "N")) end

-- Leaves out each statement, or replaces it by what is in its block, where the program still fails.
local function shrink_block(list, fails)
  local i, any = #list, false
  while i >= 1 do
    local statement = table.remove(list, i)
    if fails() then
      any = true
    else
      table.insert(list, i, statement)
      local inner = statement.body
      if inner and #inner > 0 then
        table.remove(list, i)
        table.move(list, i, #list, i + #inner)
        table.move(inner, 1, #inner, i, list)
        if fails() then
          any = true
        else
          for _ = 1, #inner do table.remove(list, i) end
          table.insert(list, i, statement)
        end
      end
    end
    i = i - 1
  end
  return any
end

--- Makes a failing program smaller, in place, as long as it fails in the same way.
function check.shrink(program, broken)
  local wanted, runs = kind_of(broken), 0
  local function fails()
    runs = runs + 1
    local now = runs <= 3000 and check.program(program, wanted:find "not the same")
    return now and kind_of(now) == wanted
  end
  local any = true
  while any do
    any = false
    local blocks = {}
    tree.each_block(program.body, function(list) blocks[#blocks + 1] = list end)
    for _, list in ipairs(blocks) do any = shrink_block(list, fails) or any end
  end
end

--- Returns the report about a seed that failed.
function check.report(seed, shrinks)
  local program = tree.program(seed)
  local broken, trace, world = check.program(program, true)
  if not broken then return ("seed %d: all is well"):format(seed), trace end
  if shrinks then
    check.shrink(program, broken)
    broken, trace, world = check.program(program, true)
  end
  return table.concat({
    ("seed %d: %s%s"):format(seed, broken, world.place or ""), "", text_of(program), "",
    "  turn     time", table.concat(trace, "\n"),
  }, "\n")
end

check.text_of, check.tree = text_of, tree

return check
