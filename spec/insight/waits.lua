--- Random programs whose jobs wait for each other: by mutexes, permits, the end of jobs and of
--- schedulers, slots with and without keys, queues, events, and children of supervisors. Each is
--- played, and beside it a list is kept of who needs whom, from which a plain reference says who
--- can never go on.
local helper = require "spec.helper"
local uvjobs = require "uvjobs"

local waits = {}

--- A node stands for a job: `needs` is "none", "any" or "all" of `holders`, which are nodes.
local function new_node(nodes)
  local node = { needs = "none", holders = {}, number = #nodes + 1, owned = {} }
  nodes[#nodes + 1] = node
  return node
end

-- ---- the jobs --------------------------------------------------------------------------

-- What a job does: it takes what it is to own, and a second later it waits for its thing.
local function body(node)
  local function go(i)
    local thing = node.owned[i]
    if thing then
      local _ <close> = thing:permit()
      return go(i + 1)
    end
    uvjobs.sleep(1)
    if node.wait then node.wait() else uvjobs.sleep(1e6) end
  end
  go(1)
end

-- ---- things ----------------------------------------------------------------------------

-- Mutexes and semaphores, each permit of which a job among `nodes` has. One semaphore also has
-- a permit that was taken by acquire(), so that it may be given back by anybody.
local function make_things(nodes, random)
  local things = {}
  for i = 1, random(1, 5) do
    local permits = random(2) == 1 and 1 or random(1, 3)
    local is_loose = permits > 1 and random(3) == 1
    local thing = { owners = {}, is_loose = is_loose,
      object = i % 2 == 1 and uvjobs.mutex() or uvjobs.semaphore(permits + (is_loose and 1 or 0)) }
    if i % 2 == 1 then permits, thing.is_loose = 1, false end
    for _ = 1, permits do
      local owner = nodes[random(#nodes)]
      if i % 2 == 0 or not owner.owned[thing] then
        thing.owners[#thing.owners + 1] = owner
        table.insert(owner.owned, thing.object)
      end
    end
    if thing.is_loose then thing.object:acquire() end
    things[i] = thing
  end
  return things
end

-- ---- what a job waits for -----------------------------------------------------------------

local kinds = {}

function kinds.nothing(_, node)
  node.needs, node.holders = "none", {}
end

function kinds.thing(world, node, random)
  local thing = world.things[random(#world.things)]
  for _, owner in ipairs(thing.owners) do
    if owner == node then return end -- that is an error for a mutex
  end
  local is_limited = random(6) == 1
  node.wait = function()
    local _ <close> = is_limited and thing.object:permit(1e5) or thing.object:permit()
  end
  if is_limited or thing.is_loose then return end
  node.needs, node.holders = "any", thing.owners
end

function kinds.job(world, node, random)
  local other = world.nodes[random(#world.nodes)]
  if other == node or other.is_child then return end
  node.wait = function() other.job:join() end
  node.needs, node.holders = "all", { other }
end

function kinds.queue(_, node)
  local queue = uvjobs.queue()
  node.wait = function() queue:get() end
end

function kinds.event(_, node)
  local event = uvjobs.event()
  node.wait = function() event:wait() end
end

-- It waits until a scheduler is idle that it is no job of.
function kinds.idle(world, node, random)
  local group = world.groups[random(#world.groups)]
  if group == node.group then return end
  node.wait = function() group.scheduler:wait_idle() end
  node.needs, node.holders = "all", group.nodes
end

-- It waits until a supervisor has stopped a child, which nothing limits.
function kinds.stop(world, node, random)
  local child = world.children[random(#world.children + 1)]
  if not child or node.is_child then return end
  node.wait = function() world.service:stop(child.child) end
  node.needs, node.holders = "all", { child }
end

-- It waits for a sibling of a child that is not ready, which any job may say that it is.
function kinds.start(world, node)
  if node.is_child then return end
  node.wait = function() world.waiting:start { function() end } end
end

local NAMES <const> = { "nothing", "thing", "thing", "thing", "thing", "job", "job", "job", "job",
  "idle", "idle", "stop", "stop", "queue", "event", "start" }

-- ---- a program ---------------------------------------------------------------------------

-- Schedulers: one without a limit, one with one, and one whose keys have one. Those of their
-- jobs that are pending never start.
local function make_groups(random)
  local slots = random(1, 3)
  return {
    { scheduler = helper.quiet { limit = math.huge, close_timeout = 0 }, nodes = {} },
    { scheduler = helper.quiet { limit = slots, close_timeout = 0 }, nodes = {}, slots = slots },
    { scheduler = helper.quiet { limit = math.huge, close_timeout = 0, key_limit = 1 },
      nodes = {}, keys = {} },
  }
end

-- A job gets a slot, or waits for those that have them.
local function enter_group(group, node, random)
  local active
  if group.slots then
    group.active = group.active or {}
    if #group.active < group.slots then
      table.insert(group.active, node)
    else
      active = group.active
    end
  elseif group.keys then
    node.key = random(3)
    active = group.keys[node.key]
    group.keys[node.key] = active or { node }
  end
  node.group = group
  table.insert(group.nodes, node)
  if active then node.is_pending, node.needs, node.holders = true, "any", active end
end

local function make_nodes(world, random)
  for _ = 1, random(2, 14) do
    local node = new_node(world.nodes)
    if random(5) == 1 then
      node.is_child = true
      table.insert(world.children, node)
    else
      enter_group(world.groups[random(3)], node, random)
    end
    if not node.is_pending then table.insert(world.runners, node) end
  end
end

local function start(world)
  for _, node in ipairs(world.nodes) do
    if node.is_child then
      node.child = world.service:start { restart = "temporary", close_timeout = math.huge,
        function() uvjobs.protect(body, node) end }
      uvjobs.yield()
      node.job = node.child.job
    else
      local options = { key = node.key, report = false }
      node.job = node.group.scheduler:spawn(options, body, node)
    end
  end
end

--- Plays a random program up to where all its jobs wait. Returns the nodes, each with its job, and
--- a function that ends the program.
---@param random fun(a: integer, b?: integer): integer
function waits.play(random)
  local world = { nodes = {}, runners = {}, children = {}, groups = make_groups(random) }
  world.service = uvjobs.supervisor { exception_handler = helper.ignore }
  world.waiting = uvjobs.supervisor { exception_handler = helper.ignore }
  make_nodes(world, random)
  if #world.runners == 0 then return {}, function() end end
  world.things = make_things(world.runners, random)
  for _, node in ipairs(world.runners) do
    kinds[NAMES[random(#NAMES)]](world, node, random)
  end
  start(world)
  local first = helper.quiet { close_timeout = 0 }
  first:spawn({ report = false }, world.waiting.start, world.waiting,
    { ready = true, close_timeout = 0, function() uvjobs.sleep(1e6) end })
  uvjobs.sleep(2)
  return world.nodes, function()
    for _, group in ipairs(world.groups) do group.scheduler:close() end
    for _, child in ipairs(world.children) do
      if child.job then pcall(child.job.close, child.job, 0) end
    end
    world.service:close()
    world.waiting:close()
    first:close()
  end
end

-- ---- the reference -----------------------------------------------------------------------

--- The nodes that can never go on, found by trying until nothing changes.
function waits.stuck(nodes)
  local goes_on, changed = {}, true
  while changed do
    changed = false
    for _, node in ipairs(nodes) do
      local free = 0
      for _, holder in ipairs(node.holders) do free = free + (goes_on[holder] and 1 or 0) end
      local can = node.needs == "none" or node.needs == "any" and free > 0
        or node.needs == "all" and free == #node.holders
      if can and not goes_on[node] then goes_on[node], changed = true, true end
    end
  end
  local stuck = {}
  for _, node in ipairs(nodes) do
    if not goes_on[node] then stuck[node] = true end
  end
  return stuck
end

--- Whether one of `targets` can be reached from a node along its holders that are stuck.
function waits.leads_to(node, stuck, targets)
  local seen, work = {}, { node }
  while #work > 0 do
    local at = table.remove(work)
    if targets[at] then return true end
    if not seen[at] then
      seen[at] = true
      for _, holder in ipairs(at.holders) do
        if stuck[holder] then work[#work + 1] = holder end
      end
    end
  end
  return false
end

return waits
