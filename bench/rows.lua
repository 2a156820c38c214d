--- The rows of the table of `bench/run`: what is measured, against what, and what
--- it should be at most.
---
--- `ours`, `reference` and the peers are programs of this directory with their
--- arguments: "spawn bare 1000000" is `lua5.4 bench/spawn.lua bare 1000000`. In
--- those of asyncio and Go the side is missing. A row without a reference is
--- measured against a fixed `bound`. `field` is which of the printed numbers
--- counts. `repeats`: so often the reference is run in a round, because it is
--- short; the median counts. `needs_gb` is the memory that it takes.
---
--- `floor` is what it costs without any scheduler: in plain Lua, as many
--- coroutines made, suspended at once, and resumed; or by the program
--- `floor_peer`. It is compared with the reference, too, or with
--- `floor_reference`.

local function peers_of(question, n, few)
  return {
    luv = ("%s luv %d"):format(question, n),
    cqueues = ("%s cqueues %d"):format(question, n),
    asyncio = ("%s %d"):format(question, few or n),
    go = ("%s %d"):format(question, n),
  }
end

local spawn = peers_of("spawn", 1000000, 100000)
spawn.bare = "spawn bare 1000000"

local memory = peers_of("memory", 100000)
memory.bare = "memory bare 100000"

local switch = peers_of("switch", 300000, 50000)
switch.bare = "switch bare 1000000"

local yield = peers_of("yield", 1000000, 200000)
yield.bare = "yield bare 2000000"

local function lateness(id, title, field, bound)
  return {
    id = id, title = title, unit = "ms", field = field,
    ours = "lateness uvjobs 300", bound = bound, against = "the target", target = 1,
    floor = "lateness 300", floor_peer = "timerfd", peers = peers_of("lateness", 300),
  }
end

local function growth(name, floor)
  return {
    id = "growth-" .. name, title = "growth of " .. name .. ", 1,000,000 jobs", unit = "ns",
    ours = ("growth %s 1000000"):format(name),
    reference = ("growth %s 10000"):format(name), repeats = 5, against = "10,000 jobs",
    target = 1.5, peers = {}, needs_gb = 4,
    floor = floor and floor .. " 1000000", floor_reference = floor and floor .. " 10000",
  }
end

local function monitor(work, mode, title)
  return {
    id = ("monitor-%s-%s"):format(work, mode), title = title, unit = "ns",
    ours = ("monitor %s-%s 1000000"):format(work, mode),
    reference = ("monitor %s-none 1000000"):format(work), against = "without monitor",
    target = 1.02, peers = {},
  }
end

local function insight(work, mode, title, target, n)
  n = n or 1000000
  return {
    id = ("insight-%s-%s"):format(work, mode), title = title, unit = "ns",
    ours = ("insight %s-%s %d"):format(work, mode, n),
    reference = ("insight %s-off %d"):format(work, n), against = "without",
    target = target, peers = {},
  }
end

local function ticker(id, title, side, field, bound)
  return {
    id = id, title = title, unit = "ms", field = field,
    ours = "ticker " .. side .. " 300", bound = bound, against = "the slice", target = 1,
    peers = {},
  }
end

return {
  {
    id = "spawn", title = "spawn, run and end", unit = "ns",
    ours = "spawn uvjobs 1000000", reference = spawn.bare, against = "bare coroutine",
    target = 1.0, floor = "spawn handle 1000000", floor_peer = "handle", peers = spawn,
  },
  {
    id = "spawn-unqueued", title = "the same with pending_limit = 0", unit = "ns",
    ours = "spawn uvjobs-unqueued 1000000", reference = spawn.bare, against = "bare coroutine",
    target = 1.0, floor = "spawn handle 1000000", floor_peer = "handle",
    peers = { bare = spawn.bare },
  },
  {
    id = "spawn-wait-all", title = "spawn 100, then job:wait() for each", unit = "ns",
    ours = "spawn_wait uvjobs-batch 1000000", reference = spawn.bare, against = "bare coroutine",
    target = 1.6, peers = { bare = spawn.bare },
  },
  {
    id = "spawn-wait", title = "spawn one, then job:wait() for it", unit = "ns",
    ours = "spawn_wait uvjobs 1000000", reference = spawn.bare, against = "bare coroutine",
    target = 1.6, floor = "spawn_wait handle 1000000", floor_peer = "handle",
    peers = {
      bare = spawn.bare, asyncio = "spawn_wait 100000", go = "spawn_wait 1000000",
    },
  },
  {
    id = "sleep", title = "100,000 jobs asleep", unit = "ns",
    ours = "sleep uvjobs 100000", reference = "sleep luv 100000", against = "luv",
    target = 0.2, floor = "growth bare 100000", peers = peers_of("sleep", 100000),
  },
  {
    id = "memory", title = "peak memory per sleeping job", unit = "bytes",
    ours = "memory uvjobs 100000", reference = memory.bare, against = "bare coroutine",
    target = 1.25, peers = memory,
  },
  {
    id = "switch", title = "a message each way", unit = "ns",
    ours = "switch uvjobs 1000000", reference = switch.cqueues, against = "cqueues",
    target = 0.2, floor = switch.bare, peers = switch,
  },
  {
    id = "yield", title = "yield among 1,000 jobs", unit = "ns",
    ours = "yield uvjobs 2000000", reference = yield.bare, against = "bare coroutine",
    target = 1.1, peers = yield,
  },
  {
    id = "cancel", title = "100,000 jobs cancelled", unit = "ns",
    ours = "cancel uvjobs 100000", reference = spawn.bare, against = "bare coroutine",
    target = 7, floor = "growth bare-inorder 100000",
    peers = { asyncio = "cancel 100000", go = "cancel 100000" },
  },
  growth("spawn"),
  growth("sleep", "growth bare"),
  growth("cancel", "growth bare-inorder"),
  lateness("lateness-p50", "lateness of sleep, median", 1, 0.1),
  lateness("lateness-p99", "lateness of sleep, 99th of 100", 2, 1),
  {
    id = "never-early", title = "earliest of these sleeps", unit = "ms", field = 3,
    ours = "lateness uvjobs 300", at_least = 0, peers = peers_of("lateness", 300),
  },
  monitor("spawn", "off", "spawn, with the monitor"),
  monitor("spawn", "on", "spawn, with time slices"),
  monitor("switch", "off", "switch, with the monitor"),
  monitor("switch", "on", "switch, with time slices"),
  monitor("busy", "off", "a busy loop, with the monitor"),
  monitor("busy", "on", "a busy loop, with time slices"),
  insight("spawn-wait", "stats", "spawn and wait, with stats", 1.1),
  insight("switch", "stats", "switch, with stats", 1.1),
  insight("switch", "trace", "switch, with a trace", 2, 100000),
  insight("spawn-wait", "after", "spawn and wait, after stats", 1.02),
  insight("switch", "after", "switch, after stats", 1.02),
  {
    id = "echo", title = "echo over TCP, 20 connections", unit = "ns",
    ours = "echo uvjobs 100000", reference = "echo luv 100000", against = "luv",
    target = 1.18, peers = { luv = "echo luv 100000" },
  },
  ticker("ticker-p50", "lateness beside 4 busy jobs, median", "uvjobs", 1, 5),
  ticker("ticker-p99", "lateness beside 4 busy jobs, 99th of 100", "uvjobs", 2, 7.5),
  ticker("ticker-c-p50", "the same within C functions, median", "uvjobs-within-c", 1, 5),
  ticker("ticker-c-p99", "the same within C functions, 99th", "uvjobs-within-c", 2, 10),
}
