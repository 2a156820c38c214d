--- Random trees of supervisors, played by uvjobs and by the reference.
---
--- A node has `name`, `restart`, `close_timeout`, `base` and `reset_after` (of its back-off), and
--- is a supervisor, with `children`, `strategy`, `intensity` and `period`; or it has `ready` and a
--- `script`, with an entry for each of its runs, of which the last one is for all that follow:
---   ready  after how many seconds it is ready
---   life   how long it runs then
---   how    how it ends: "crash", "return", "hang", which is not at all, or "busy": it holds the
---          loop until its busy_limit is over
---   close  how long it takes to end when it is cancelled
--- A tree also has `acts`: what is done to children by name, and when.
local uvjobs = require "uvjobs"
local Reference = require "spec.supervisor.reference"
local helper = require "spec.helper"

local MORE <const> = require "uvjobs.core".child_places().MORE

local trees = {}

trees.LENGTH = 100 -- seconds that a tree is played for
trees.BUSY_LIMIT = 1e-6 -- seconds; the time of the others is late by that

--- Where two logs differ: nil, or the number of the first entry, as times are compared with a
--- tolerance of 10 microseconds; and that entry of both.
function trees.difference(expected, played)
  for i = 1, math.max(#expected, #played) do
    local one, other = expected[i], played[i]
    if not one or not other or one.what ~= other.what or one.name ~= other.name
      or math.abs(one.time - other.time) > 1e-5 then
      return i, one, other
    end
  end
end

-- ---- making one ------------------------------------------------------------

local function one_of(random, list)
  return list[random(#list)]
end

local function new_script(random)
  local script = {}
  for i = 1, random(6) do
    script[i] = {
      ready = 3 * random(), life = 20 * random() ^ 3,
      how = one_of(random, { "crash", "crash", "return", "hang" }),
      close = random(3) == 1 and 5 * random() or 0,
    }
  end
  return script
end

local function new_supervisor(random, tree, depth, name)
  local node = {
    name = name, restart = "permanent", close_timeout = math.huge,
    strategy = one_of(random, { "one_for_one", "one_for_all", "rest_for_one" }),
    intensity = random(0, 6), period = 1 + 10 * random(), children = {},
  }
  for place = 1, random(1, depth == 3 and 6 or 5) do
    if tree.left == 0 then break end
    tree.left = tree.left - 1
    local child
    if depth > 1 and random(4) == 1 then
      child = new_supervisor(random, tree, depth - 1, ("%s.%d"):format(name, place))
    else
      child = {
        name = ("%s.%d"):format(name, place), ready = random(3) == 1,
        restart = one_of(random, { "permanent", "permanent", "transient", "temporary" }),
        close_timeout = 4 * random(), script = new_script(random),
      }
      tree.names[#tree.names + 1] = child.name
    end
    child.base, child.reset_after = one_of(random, { 0, random(), random() }), 10 * random()
    node.children[place] = child
  end
  return node
end

-- Makes the first run of one leaf busy.
local function make_busy(random, node)
  local child = one_of(random, node.children)
  if child.children then return make_busy(random, child) end
  child.busy_limit = trees.BUSY_LIMIT
  child.script[1].how, child.script[1].close = "busy", 0
  if #child.script == 1 then child.script[2] = new_script(random)[1] end
end

--- Makes a random tree; `random` is as math.random. With `is_busy` a child of it computes without
--- end, which takes a second of real time when it is played.
function trees.new(random, is_busy)
  local tree = { left = 30, names = {}, acts = {} }
  tree.root = new_supervisor(random, tree, 3, "r")
  if #tree.names > 0 then
    for i = 1, random(0, 8) do
      tree.acts[i] = {
        time = 5 + trees.LENGTH * random(), name = one_of(random, tree.names),
        what = one_of(random, { "stop", "restart", "restart", "delete" }),
      }
    end
  end
  if is_busy and #tree.names > 0 then make_busy(random, tree.root) end
  return tree
end

-- ---- playing it ------------------------------------------------------------

local function find(node, name)
  for _, child in ipairs(node.children) do
    if child.name == name then return child end
    local found = child.children and find(child, name)
    if found then return found end
  end
end

local function prepare(node, place, sup)
  node.state, node.run, node.stretch, node.place, node.sup = "idle", 0, 0, place, sup
  for i, child in ipairs(node.children or {}) do prepare(child, i, node) end
end

-- Does to a child what somebody asks for.
local function act(reference, node, what)
  local sup = node.sup
  if node.gone or node.run < 1 or sup.ending or sup.state ~= "starting" and sup.state ~= "up" then
    return
  end
  if node.state == "idle" or node.state == "line" then
    if what == "restart" then
      if node.state == "idle" then reference:start_again(node) end
    else
      node.state, node.held = "idle", true
      node.gone = what == "delete" or not node.since
    end
  else
    reference:close(node, what == "restart" and "start" or what)
  end
  reference:step(sup)
end

--- What the reference says that happens.
function trees.expected(tree)
  local reference = Reference.new()
  prepare(tree.root, 1)
  for _, one in ipairs(tree.acts) do
    reference:at(one.time, function() act(reference, find(tree.root, one.name), one.what) end)
  end
  reference:begin(tree.root)
  reference:run(trees.LENGTH)
  if tree.root.state ~= "idle" then
    reference.now = trees.LENGTH
    tree.root.ending, tree.root.state = true, "closing"
    reference:step(tree.root)
    reference:run(math.huge)
  end
  return reference.log
end

-- The function of a leaf.
local function leaf_of(node, log)
  local run = 0
  node.has_run = false
  local function note(what)
    log[#log + 1] = { time = uvjobs.now(), what = what, name = node.name }
  end
  return function(child)
    run, node.has_run = run + 1, true
    local step = node.script[math.min(run, #node.script)]
    note "start"
    local _ <close> = helper.closing(function() note "end" end)
    local _ <close> = helper.closing(function(_, err)
      if uvjobs.code(err) == "cancelled" and step.close > 0 then
        uvjobs.protect(uvjobs.sleep, step.close)
      end
    end)
    if node.ready then
      uvjobs.sleep(step.ready)
      child:ready()
    end
    uvjobs.sleep(step.how == "hang" and 1e6 or step.life)
    if step.how == "crash" then error("crash", 0) end
    while step.how == "busy" do end
  end
end

local function options_of(node)
  return {
    strategy = node.strategy, intensity = node.intensity, period = node.period,
    keep_trying = true, exception_handler = helper.ignore,
  }
end

-- Adds a child to a supervisor that has not begun, in a job, as the call waits until it runs.
local function add(jobs, supervisor, options)
  jobs:spawn({ report = false }, supervisor.start, supervisor, options)
  uvjobs.yield()
  local child = supervisor:child(options.name)
  local more = child[MORE]
  return more and more.nested
end

local function fill(jobs, supervisor, node, log, owners)
  for _, child in ipairs(node.children) do
    owners[child.name] = supervisor
    local options = {
      name = child.name, restart = child.restart, ready = child.ready,
      reset_after = child.reset_after, close_timeout = child.close_timeout,
      busy_limit = child.busy_limit,
      backoff = { base = child.base, factor = 2, max = 30, jitter = 0 },
    }
    if child.children then
      options.supervisor, options.ready = options_of(child), nil
      fill(jobs, add(jobs, supervisor, options), child, log, owners)
    else
      options[1] = leaf_of(child, log)
      add(jobs, supervisor, options)
    end
  end
end

-- Makes the whole tree before its first child starts: behind a child that is not ready yet.
-- Returns what lets it start.
local function build(jobs, service, root, log, owners)
  local gate = uvjobs.event()
  add(jobs, service, { name = "gate", ready = true, function(child)
    gate:wait()
    child:ready()
    uvjobs.sleep(1e6)
  end })
  fill(jobs, add(jobs, service, { name = root.name, supervisor = options_of(root) }), root, log,
    owners)
  return gate
end

local function act_at(jobs, tree, one, owners)
  local node = find(tree.root, one.name)
  jobs:spawn({ report = false }, function()
    uvjobs.sleep(one.time)
    local owner = owners[one.name]
    if owner:child(one.name) and node.has_run
      and (owner._phase == "up" or owner._phase == "round") then
      owner[one.what](owner, one.name)
    end
  end)
end

--- What uvjobs does. Call it in a job, under the virtual clock, at the time 0.
function trees.played(tree)
  local log, owners = {}, {}
  local service = uvjobs.supervisor { intensity = 0, exception_handler = helper.ignore }
  local jobs = uvjobs.scheduler { limit = math.huge, exception_handler = helper.ignore }
  local gate = build(jobs, service, tree.root, log, owners)
  for _, one in ipairs(tree.acts) do act_at(jobs, tree, one, owners) end
  gate:set()
  uvjobs.sleep(trees.LENGTH)
  service:close()
  jobs:close()
  return log
end

return trees
