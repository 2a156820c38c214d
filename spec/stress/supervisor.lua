--- Plays random trees of supervisors:
---   lua5.4 spec/stress/supervisor.lua SECONDS [SEED]       against the reference in Lua; in each
---                                                          50th tree a child computes without end
---   lua5.4 spec/stress/supervisor.lua erlang N [SEED]      N trees against Erlang's supervisor:
---                                                          the order of starts and ends
--- It prints the seed of the first tree that goes wrong, and what does. Needs erl and erlc for the
--- second.
local uvjobs = require "uvjobs"
local testing = require "uvjobs.testing"
local helper = require "spec.helper"
local trees = require "spec.supervisor.trees"

local function tell(log, at)
  for i = math.max(1, at - 10), math.min(#log, at + 3) do
    local entry = log[i]
    print(("%s %12.6f %s %s"):format(i == at and "*" or " ", entry.time, entry.what, entry.name))
  end
end

local function play_for(seconds, seed)
  local last, plays, events = os.time() + seconds, 0, 0
  while os.time() < last do
    math.randomseed(seed)
    local tree = trees.new(math.random, seed % 50 == 0)
    local expected = trees.expected(tree)
    local played = uvjobs.run({ clock = "virtual" }, trees.played, tree)
    local at = trees.difference(expected, played)
    if at then
      print("seed " .. seed .. ": expected")
      tell(expected, at)
      print "played"
      tell(played, at)
      os.exit(1)
    end
    plays, events, seed = plays + 1, events + #played, seed + 1
  end
  print(("%d trees, %d starts and ends: as the reference says"):format(plays, events))
end

-- ---- Erlang ----------------------------------------------------------------

local function one_of(list)
  return list[math.random(#list)]
end

-- A temporary child is in the root only: a supervisor of Erlang that is restarted makes its
-- children anew, temporary ones, too. Here none is started twice.
local RESTARTS = { "permanent", "permanent", "transient", "temporary" }

local function new_node(name, depth, leaves)
  local node = {
    name = name, children = {},
    strategy = one_of { "one_for_one", "one_for_all", "rest_for_one" },
  }
  for i = 1, math.random(5) do
    local child
    if depth > 1 and math.random(4) == 1 then
      child = new_node(name .. "_" .. i, depth - 1, leaves)
      child.restart = "permanent"
    else
      child = {
        name = name .. "_" .. i,
        restart = RESTARTS[math.random(depth == 3 and 4 or 3)],
      }
      leaves[#leaves + 1] = child.name
    end
    node.children[i] = child
  end
  return node
end

local function new_play()
  local leaves, actions = {}, {}
  local root = new_node("r", 3, leaves)
  for i = 1, #leaves > 0 and 12 or 0 do
    actions[i] = { what = one_of { "crash", "crash", "return" }, name = one_of(leaves) }
  end
  return { root = root, actions = actions }
end

local function term_of(node)
  if not node.children then return ("{leaf, %s}"):format(node.name) end
  local children = {}
  for i, child in ipairs(node.children) do
    children[i] = ("{%s, %s}"):format(child.restart, term_of(child))
  end
  return ("{sup, %s, %s, [%s]}"):format(node.name, node.strategy, table.concat(children, ", "))
end

local function write_plays(path, plays)
  local file <close> = assert(io.open(path, "w"))
  for _, play in ipairs(plays) do
    local actions = {}
    for i, action in ipairs(play.actions) do
      actions[i] = ("{%s, %s}"):format(action.what, action.name)
    end
    file:write(("{%s, [%s]}.\n"):format(term_of(play.root), table.concat(actions, ", ")))
  end
end

-- What Erlang does: a text for each play.
local function play_in_erlang(plays)
  local dir = os.tmpname()
  os.remove(dir)
  assert(os.execute(("mkdir %s && erlc -o %s spec/supervisor/oracle.erl"):format(dir, dir)))
  write_plays(dir .. "/plays", plays)
  local pipe <close> = assert(io.popen(
    ("erl -noshell -pa %s -run oracle main %s/plays"):format(dir, dir)))
  local texts = {}
  for text in pipe:read("a"):gmatch "(.-)==\n" do texts[#texts + 1] = text end
  os.execute("rm -r " .. dir)
  return texts
end

local function leaf(name, commands, say)
  return function()
    say("start " .. name)
    local command = uvjobs.queue()
    commands[name] = command
    local _ <close> = helper.closing(function()
      commands[name] = nil
      say("end " .. name)
    end)
    if command:get() == "crash" then error "crash" end
  end
end

local function options_of(node)
  return { strategy = node.strategy, intensity = math.huge, backoff = 0,
    exception_handler = helper.ignore }
end

local function fill(supervisor, node, commands, say)
  for _, child in ipairs(node.children) do
    if child.children then
      local nested = supervisor:start { name = child.name, supervisor = options_of(child) }
      fill(nested, child, commands, say)
    else
      supervisor:start { name = child.name, restart = child.restart,
        leaf(child.name, commands, say) }
    end
  end
end

-- What uvjobs does with the same.
local function play_here(play)
  local lines, commands = {}, {}
  local function say(line) lines[#lines + 1] = line .. "\n" end
  local service = uvjobs.supervisor(options_of(play.root))
  fill(service, play.root, commands, say)
  testing.settle()
  say "--"
  for _, action in ipairs(play.actions) do
    if commands[action.name] then commands[action.name]:try_put(action.what) end
    testing.settle()
    say "--"
  end
  service:close()
  return table.concat(lines)
end

local function compare_with_erlang(n, seed)
  local plays, actions = {}, 0
  math.randomseed(seed)
  for i = 1, n do plays[i] = new_play() end
  local texts = play_in_erlang(plays)
  for i, play in ipairs(plays) do
    local text = uvjobs.run({ clock = "virtual" }, play_here, play)
    actions = actions + #play.actions
    if text ~= texts[i] then
      print(("tree %d of seed %d: %s"):format(i, seed, term_of(play.root)))
      for _, action in ipairs(play.actions) do print(action.what, action.name) end
      print("Erlang:\n" .. tostring(texts[i]) .. "uvjobs:\n" .. text)
      os.exit(1)
    end
  end
  print(("%d trees, %d crashes and returns: in the order of Erlang's supervisor"):format(
    n, actions))
end

if arg[1] == "erlang" then
  compare_with_erlang(tonumber(arg[2]) or 100, tonumber(arg[3]) or os.time())
else
  play_for(tonumber(arg[1]) or 10, tonumber(arg[2]) or os.time())
end
