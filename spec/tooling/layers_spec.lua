-- What each layer may know. src/core, src/calendar, src/random and src/measure know nothing but
-- C, src/repeat knows the first three, src/loop adds libuv, src/memory the system's pages,
-- src/lua adds Lua; each uses only the layers below it, and src/loop and src/memory do not know
-- each other. Within the layers the files stand on floors: see FLOORS.

local structure = require "spec.tooling.structure"

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read("a")
end

local function sources()
  local pipe <close> = assert(io.popen("find src -name '*.[ch]' | sort"))
  local paths = {}
  for path in pipe:lines() do paths[#paths + 1] = path end
  return paths
end

-- Headers of the outside world, by what they bring.
local function outside(include)
  local name = include:match("[^/]*$")
  if name:find("^lua%a*%.h") or name == "lauxlib.h" then return "lua" end
  if include == "uv.h" or include:find("^uv/") then return "libuv" end
end

local RULES = {
  core = { layers = { core = true }, outside = {} },
  calendar = { layers = { calendar = true }, outside = {} },
  loop = { layers = { core = true, loop = true }, outside = { libuv = true } },
  inspect = { layers = { core = true, loop = true, inspect = true }, outside = {} },
  memory = { layers = { core = true, memory = true }, outside = {} },
  ["repeat"] = {
    layers = { core = true, calendar = true, random = true, ["repeat"] = true }, outside = {},
  },
  measure = { layers = { measure = true }, outside = {} },
  random = { layers = { random = true }, outside = {} },
  channel = { layers = { core = true, channel = true }, outside = {} },
  crew = {
    layers = { core = true, channel = true, random = true, crew = true }, outside = {},
  },
  -- The bindings of databases are modules of their own.
  store = { layers = { store = true }, outside = { lua = true } },
  lua = {
    layers = {
      core = true, calendar = true, inspect = true, loop = true, memory = true, lua = true,
      measure = true, random = true, ["repeat"] = true, channel = true, crew = true,
    },
    outside = { lua = true },
  },
}

-- Names that a layer must not use even without the header that declares them.
local function forbidden_names(layer, path)
  local names = {}
  if layer ~= "lua" and layer ~= "store" then names[#names + 1] = "%f[%w_]luaL?_[%w_]+" end
  names[#names + 1] = "%f[%w_]lua_writestringerror%f[^%w_]" -- not in Lua 5.5
  if layer ~= "loop" or path:find("%.h$") then names[#names + 1] = "%f[%w_]uv_[%w_]+" end
  return names
end

local function include_problem(include, rule, path)
  local world = outside(include)
  if include:find("%.%./") then return "goes through .." end
  if world and not rule.outside[world] then return "brings " .. world end
  if world == "libuv" and path:find("%.h$") then return "brings libuv into a header" end
  local layer = not world and include:match("^(%a+)/")
  if layer and RULES[layer] and not rule.layers[layer] then
    return "is not a layer below"
  end
end

--- What is wrong with a source file, as a list of sentences.
local function violations(path, text)
  local found = {}
  local function report(...) found[#found + 1] = path .. ": " .. string.format(...) end
  local layer = path:match("^src/(%a+)/")
  local rule = RULES[layer]
  if not rule then return { path .. ": belongs to no layer" } end
  text = structure.code_of(text)
  for line in text:gmatch("[^\n]+") do
    local include = line:match('^%s*#%s*include%s*[<"]([^>"]+)[>"]')
    local problem = include and include_problem(include, rule, path)
    if problem then report("include of %s %s", include, problem) end
  end
  text = text:gsub("#%s*include[^\n]*", "")
  for _, name in ipairs(forbidden_names(layer, path)) do
    local used = text:match(name)
    if used then report("uses %s", used) end
  end
  return found
end

-- From the roof to the ground, by patterns of paths without their endings, of
-- which the first that matches counts. A file may know what is below it, and of
-- its own floor what does not know it in turn.
local FLOORS <const> = {
  { "src/store/%a+/module" },
  { "src/store/%a+/[%w_]+" },
  { "src/lua/module" },
  { "src/lua/lifetime" },
  { "src/lua/host" },
  { "src/lua/drive/run" },
  { "src/lua/drive/embed" },
  { "src/lua/drive/[%w_]+" },
  { "src/lua/insight/part" },
  { "src/lua/insight/glance", "src/lua/insight/holds" },
  { "src/lua/insight/ages", "src/lua/insight/asking", "src/lua/insight/copied",
    "src/lua/insight/seen" },
  { "src/lua/supervisor/record" },
  { "src/lua/service/crew" },
  { "src/lua/repeating/repeating", "src/lua/supervisor/children", "src/lua/service/service" },
  { "src/lua/service/resident", "src/lua/encode/encode" },
  { "src/lua/encode/decode", "src/lua/service/limit" },
  { "src/lua/encode/utf8" },
  { "src/lua/policy/rate", "src/lua/policy/gate", "src/lua/policy/window" },
  { "src/lua/policy/keys" },
  { "src/lua/api/[%w_]+" },
  { "src/lua/channel/channel", "src/lua/channel/blob" },
  { "src/lua/channel/letter" },
  { "src/lua/channel/handle" },
  { "src/lua/channel/hear" },
  { "src/lua/schedule/schedule" },
  { "src/lua/schedule/zone" },
  { "src/lua/measure/times" },
  { "src/lua/measure/trace" },
  { "src/lua/measure/series" },
  { "src/lua/measure/meter" },
  { "src/lua/engine/interrupt" },
  { "src/lua/engine/unwind", "src/lua/engine/kill" },
  { "src/lua/engine/body", "src/lua/engine/hookerror", "src/lua/engine/cover" },
  { "src/lua/engine/suspend", "src/lua/engine/pool", "src/lua/engine/report",
    "src/lua/engine/announce", "src/lua/engine/dumping", "src/lua/engine/inspecting",
    "src/lua/engine/traceback" },
  { "src/lua/engine/outside" },
  { "src/lua/engine/resume" },
  { "src/lua/engine/[%w_]+" },
  { "src/lua/state/error", "src/lua/state/outcome" },
  { "src/lua/state/[%w_]+" },
  { "src/lua/base/[%w_]+" },
  { "src/inspect/server" },
  { "src/inspect/loops" },
  { "src/inspect/[%w_]+" },
  { "src/repeat/repeat" },
  { "src/repeat/agenda" },
  { "src/measure/tape" },
  { "src/crew/crew", "src/crew/turns" },
  { "src/crew/record" },
  { "src/crew/host" },
  { "src/channel/channel", "src/channel/cycle", "src/channel/blob" },
  { "src/channel/record", "src/channel/parcel" },
  { "src/channel/inbox", "src/channel/shared" },
  { "src/channel/process" },
  { "src/loop/[%w_]+", "src/memory/[%w_]+", "src/calendar/schedule", "src/calendar/pattern",
    "src/calendar/zonefile", "src/random/random", "src/measure/histogram",
    "src/measure/chrome" },
  { "src/calendar/fire" },
  { "src/calendar/cron", "src/calendar/zone" },
  { "src/calendar/rule", "src/calendar/civil" },
  { "src/core/turn" },
  { "src/core/end" },
  { "src/core/admit", "src/core/mutex", "src/core/queue", "src/core/semaphore", "src/core/event" },
  { "src/core/ranks" },
  { "src/core/job" },
  { "src/core/sched" },
  { "src/core/loop" },
  { "src/core/order" },
  { "src/core/waitq", "src/core/timers", "src/core/shuffle", "src/core/rate", "src/core/lineup" },
  { "src/core/pqueue" },
  { "src/core/life", "src/core/link", "src/core/clock", "src/core/seldom" },
}

--- The texts of all sources by their paths.
local function all_sources()
  local texts = {}
  for _, path in ipairs(sources()) do texts[path] = read(path) end
  return texts
end

--- Which module in lua/ requires which: edges[module][other] = why.
local function module_edges()
  local edges = {}
  local pipe <close> = assert(io.popen("find lua -name '*.lua' | sort"))
  for path in pipe:lines() do
    local module = path:match("^lua/(.*)%.lua$"):gsub("/init$", ""):gsub("/", ".")
    edges[module] = {}
    for other in read(path):gsub("%-%-[^\n]*", ""):gmatch('require%s*%(?%s*"(uvjobs[%w_.]*)"') do
      local is_in_c = other == "uvjobs.core" or other:find "^uvjobs%.store%."
      if not is_in_c then edges[module][other] = "requires it" end
    end
  end
  return edges
end

local function resumes(text)
  return structure.code_of(text):find("%f[%w_]lua_resume%s*%(") ~= nil
end

describe("the layers", function()
  it("know only what is below them", function()
    local found, paths = {}, sources()
    assert.is_true(#paths > 0, "no sources found")
    for _, path in ipairs(paths) do
      table.move(violations(path, read(path)), 1, 100, #found + 1, found)
    end
    assert.equal("", table.concat(found, "\n"))
  end)

  it("look down only, from floor to floor", function()
    local found = structure.upward(structure.edges(all_sources()), FLOORS)
    assert.equal("", table.concat(found, "\n"))
  end)

  it("have no circle of files that know each other", function()
    local found = structure.circles(structure.edges(all_sources()))
    assert.equal("", table.concat(found, "\n"))
  end)

  it("have no circle of Lua modules that require each other", function()
    local edges = module_edges()
    assert.truthy(edges["uvjobs"]["uvjobs.concurrent"])
    assert.equal("", table.concat(structure.circles(edges), "\n"))
  end)

  it("have no file of over 600 lines", function()
    for path, text in pairs(all_sources()) do
      assert.is_true(select(2, text:gsub("\n", "\n")) <= 600, path)
    end
  end)

  it("resume coroutines in one file of src/lua", function()
    local files = {}
    for _, path in ipairs(sources()) do
      if resumes(read(path)) then files[#files + 1] = path end
    end
    assert.equal(1, #files, table.concat(files, ", "))
    assert.truthy(files[1]:find("^src/lua/"))
  end)
end)

describe("the check of the layers", function()
  local function check(path, text)
    return table.concat(violations(path, text), "\n")
  end

  it("accepts what a layer may include", function()
    assert.equal("", check("src/core/a.c", '#include "core/a.h"\n#include <stdint.h>'))
    assert.equal("", check("src/loop/a.c", '#include <uv.h>\n#include "core/a.h"\nuv_run();'))
    assert.equal("", check("src/lua/a.c",
      '#include <lua.h>\n#include <lauxlib.h>\n#include "loop/a.h"\nlua_pop(L, 1);'))
    assert.equal("", check("src/lua/a.c", '#include "memory/a.h"\n#include "core/a.h"'))
    assert.equal("", check("src/memory/a.c",
      '#include "memory/a.h"\n#include "core/a.h"\n#include <sys/mman.h>\nmmap();'))
  end)

  it("finds an outside header in the wrong layer", function()
    for _, case in ipairs {
      { "src/core/a.c", "<lua.h>", "brings lua" },
      { "src/core/a.h", "<lauxlib.h>", "brings lua" },
      { "src/core/a.c", '"luaconf.h"', "brings lua" },
      { "src/core/a.c", "<lua5.4/lua.h>", "brings lua" },
      { "src/core/a.c", '"uv.h"', "brings libuv" },
      { "src/core/a.c", "<uv/unix.h>", "brings libuv" },
      { "src/loop/a.c", "<lualib.h>", "brings lua" },
      { "src/loop/a.h", "<uv.h>", "brings libuv into a header" },
      { "src/lua/a.c", "<uv.h>", "brings libuv" },
      { "src/memory/a.c", "<lua.h>", "brings lua" },
      { "src/memory/a.h", "<lauxlib.h>", "brings lua" },
      { "src/memory/a.c", "<uv.h>", "brings libuv" },
    } do
      local path, header, problem = table.unpack(case)
      local found = check(path, "int a;\n  # include " .. header .. "\n")
      assert.equal(("%s: include of %s %s"):format(path, header:match("[%w./]+"), problem), found)
    end
  end)

  it("finds an include of a layer that is not below", function()
    for _, case in ipairs {
      { "src/core/a.c", "loop/a.h" },
      { "src/core/a.c", "lua/a.h" },
      { "src/core/a.c", "memory/a.h" },
      { "src/loop/a.c", "lua/a.h" },
      { "src/loop/a.h", "memory/a.h" },
      { "src/memory/a.h", "loop/a.h" },
      { "src/memory/a.c", "lua/a.h" },
    } do
      local path, header = table.unpack(case)
      local found = check(path, ('#include "%s"'):format(header))
      assert.equal(("%s: include of %s is not a layer below"):format(path, header), found)
    end
    assert.truthy(check("src/core/a.c", '#include "../lua/a.h"'):find("through"))
  end)

  it("finds names that were declared by hand", function()
    assert.truthy(check("src/core/a.h", "struct lua_State;"):find("uses lua_State"))
    assert.truthy(check("src/loop/a.h", "uv_loop_t *l;"):find("uses uv_loop_t"))
    assert.truthy(check("src/lua/a.c", "extern int uv_run();"):find("uses uv_run"))
    assert.truthy(check("src/memory/a.h", "lua_Alloc below;"):find("uses lua_Alloc"))
    assert.truthy(check("src/memory/a.c", "void uv_sleep(int);"):find("uses uv_sleep"))
  end)

  it("takes comments for what they are", function()
    assert.equal("", check("src/core/a.c", "/* lua_resume,\n#include <lua.h>\n */ // uv_run"))
    assert.is_false(resumes("/* lua_resume(L) */"))
    assert.is_true(resumes("x = lua_resume (L, from, 0, &n);"))
  end)

  it("refuses a file outside the layers", function()
    assert.truthy(check("src/a.c", ""):find("no layer"))
  end)
end)

describe("the check of the floors", function()
  local floors = { { "src/roof" }, { "src/a", "src/b" } }

  local function edges_of(texts)
    return structure.edges(texts)
  end

  it("takes a file and its header for one", function()
    local edges = edges_of { ["src/a.c"] = '#include "a.h"\n', ["src/a.h"] = "int x;\n" }
    assert.same({ ["src/a"] = {} }, edges)
  end)

  it("sees what a file includes, and what it uses of another", function()
    local edges = edges_of {
      ["src/a.c"] = '#include "b.h"\nvoid uj_a_do(void)\n{\n  uj_c_do();\n}\n',
      ["src/b.h"] = "static inline int uj_b_get(void)\n{\n}\n",
      ["src/c.c"] = "int uj_c_do(void)\n{\n}\n",
      ["src/d.c"] = "static struct uj_thing x;\nint y = uj_b_get();\n",
    }
    assert.equal("includes b.h", edges["src/a"]["src/b"])
    assert.equal("uses uj_c_do", edges["src/a"]["src/c"])
    assert.equal("uses uj_b_get", edges["src/d"]["src/b"])
    assert.is_nil(edges["src/c"]["src/a"])
  end)

  it("finds what looks up, and what has no floor", function()
    local found = structure.upward(edges_of {
      ["src/roof.h"] = "", ["src/a.c"] = '#include "roof.h"\n', ["src/b.c"] = "",
      ["src/lost.c"] = "",
    }, floors)
    assert.same({ "src/a looks up: includes roof.h", "src/lost: belongs to no floor" }, found)
  end)

  it("finds a circle, also a long one", function()
    local texts = { ["src/a.h"] = '#include "b.h"\n', ["src/b.h"] = '#include "c.h"\n',
      ["src/c.h"] = "" }
    assert.same({}, structure.circles(edges_of(texts)))
    texts["src/c.h"] = '#include "a.h"\n'
    local found = structure.circles(edges_of(texts))
    assert.equal(1, #found)
    assert.truthy(found[1]:find("src/c -> src/a: includes a.h", 1, true))
  end)
end)
