-- The reference, the types for editors and the module have the same names; and
-- the map of the sources names all of them.

local files = require "spec.files"
local uvjobs = require "uvjobs"

local read, list = files.read, files.lines_of

--- The keys of a set, sorted, one a line: so that a failure shows what differs.
local function lines_of(set)
  local keys = {}
  for key in pairs(set) do keys[#keys + 1] = key end
  table.sort(keys)
  return table.concat(keys, "\n")
end

-- ---- what there is ---------------------------------------------------------

-- The types, with the word that the reference has for a value of each, and the
-- source of its properties if it has any.
local TYPES = {
  { word = "scheduler", class = "Scheduler", source = "src/lua/api/scheduler.c" },
  { word = "job", class = "Job", source = "src/lua/api/job.c" },
  { word = "event", class = "Event", source = "src/lua/api/event.c" },
  { word = "queue", class = "Queue", source = "src/lua/api/queue.c" },
  { word = "semaphore", class = "Semaphore", source = "src/lua/api/semaphore.c" },
  { word = "mutex", class = "Mutex" },
  { word = "permit", class = "Permit" },
  { word = "err", class = "Error", source = "src/lua/state/error.c" },
}

-- Types that users never have in their hands.
local INTERNAL = { Await = true, Scope = true, State = true, Work = true }

--- A value of each type.
local function samples()
  local scheduler = uvjobs.scheduler()
  local job = scheduler:spawn(print)
  scheduler:close()
  local _, err = pcall(job.wait, job)
  local semaphore = uvjobs.semaphore(1)
  return {
    scheduler = scheduler, job = job, err = err,
    event = uvjobs.event(), queue = uvjobs.queue(), mutex = uvjobs.mutex(),
    semaphore = semaphore, permit = uvjobs.run(semaphore.permit, semaphore),
  }
end

--- The methods of a userdata: its __index is their table, or a function that
--- keeps it as an upvalue.
local function methods_of(value)
  local index = debug.getmetatable(value).__index
  if type(index) == "table" then return index end
  local _, methods = debug.getupvalue(index, 2)
  return type(methods) == "table" and methods or {}
end

--- Properties are found by comparing names, in C.
local function properties_in(source)
  local found = {}
  if not source then return found end
  local text = read(source):gsub("lua_tostring%(L, 2%)", "key")
  for name in text:gmatch('strcmp%(key, "([%w_]+)"%) == 0') do
    found[name] = true
  end
  return found
end

local function options_in(source, set)
  for name in read(source):gmatch('{"([%w_]+)", take_[%w_]+},') do set[name] = true end
  local kinds = read(source):match("\nlocal OPTIONS <const> = (%b{})") or ""
  for name in kinds:gmatch("\n  ([%w_]+) = ") do set[name] = true end
end

--- The interface of the module: `uvjobs.sleep`, `job:wait`, `job.state`, ...
local function interface()
  local found, sample = {}, samples()
  for name in pairs(uvjobs) do found["uvjobs." .. name] = true end
  for _, type in ipairs(TYPES) do
    for name in pairs(methods_of(sample[type.word])) do
      found[type.word .. ":" .. name] = true
    end
    for name in pairs(properties_in(type.source)) do
      found[type.word .. "." .. name] = true
    end
  end
  return found
end

local function options()
  local found = {}
  for _, source in ipairs {
    "src/lua/api/scheduler.c", "src/lua/api/spawn.c", "src/lua/drive/options.c",
    "lua/uvjobs/exec.lua",
  } do
    options_in(source, found)
  end
  return found
end

-- ---- what is written about it ----------------------------------------------

--- The headings of docs/api.md that are calls, and the first cells of its tables
--- that are properties.
local function documented()
  local found = {}
  for line in read("docs/api.md"):gmatch("[^\n]+") do
    local call = line:match("^### `(%l+[.:][%w_]+)%(")
    local property = line:match("^| `(%l+%.[%w_]+)` |")
    found[call or property or ""] = true
  end
  found[""] = nil
  return found
end

--- The first cells of the tables under a heading `| option | ...`.
local function documented_options()
  local found, inside = {}, false
  for line in read("docs/api.md"):gmatch("[^\n]*") do
    local name = line:match("^| `([%w_]+)` |")
    if line:find("^| option | type |") then
      inside = true
    elseif not line:find("^|") then
      inside = false
    elseif inside and name then
      found[name] = true
    end
  end
  return found
end

--- What library/uvjobs.lua declares: the interface, and the options.
local function annotated()
  local found, opts, class = {}, {}, nil
  local words = { uvjobs = "uvjobs" }
  for _, type in ipairs(TYPES) do words[type.class] = type.word end
  for line in read("library/uvjobs.lua"):gmatch("[^\n]+") do
    local owner, sign, name = line:match("^function (%a+)([.:])([%w_]+)%(")
    local field = line:match("^%-%-%-@field ([%w_]+)")
    class = line:match("^%-%-%-@class ([%w.]+)") or class
    local word = class and words[class:match("%a+$")]
    if owner then
      found[assert(words[owner], line) .. sign .. name] = true
    elseif field and word then
      found[word .. "." .. field] = true
    elseif field and class:find("Options$") then
      opts[field] = true
    end
  end
  return found, opts
end

describe("this spec", function()
  it("knows every type of the module", function()
    local known, found = {}, {}
    for _, type in ipairs(TYPES) do known[type.class] = true end
    for _, path in ipairs(list "find src/lua -name '*.[ch]'") do
      for class in read(path):gmatch('#define [%u_]+_TYPE "uvjobs%.(%a+)"') do
        if not INTERNAL[class] then found[class] = true end
      end
    end
    assert.equal(lines_of(found), lines_of(known))
  end)
end)

describe("the interface", function()
  it("is found by looking at the module", function()
    local found = interface()
    for _, name in ipairs { "uvjobs.run", "scheduler:spawn", "scheduler.limit", "job:wait",
      "job.state", "event:set", "err.code" } do
      assert.is_true(found[name], name)
    end
  end)

  it("is documented in docs/api.md, and nothing else is", function()
    assert.equal(lines_of(interface()), lines_of(documented()))
  end)

  it("is annotated in library/uvjobs.lua, and nothing else is", function()
    assert.equal(lines_of(interface()), lines_of((annotated())))
  end)

  it("has properties that all exist", function()
    local sample = samples()
    for name in pairs(documented()) do
      local word, property = name:match("^(%l+)%.([%w_]+)$")
      if sample[word] and property ~= "name" and property ~= "signal" and property ~= "cpu_time"
        and property ~= "exception_handler" then
        assert.is_not_nil(sample[word][property], name)
      end
    end
  end)
end)

describe("the options", function()
  it("are documented in docs/api.md, and nothing else is", function()
    assert.equal(lines_of(options()), lines_of(documented_options()))
  end)

  it("are annotated in library/uvjobs.lua, and nothing else is", function()
    local _, annotated_options = annotated()
    assert.equal(lines_of(options()), lines_of(annotated_options))
  end)
end)

describe("the reference", function()
  it("says of every call whether it suspends", function()
    local missing, heading, says = {}, nil, true
    for line in (read("docs/api.md") .. "\n## end"):gmatch("[^\n]+") do
      if line:find("^##") then
        if heading and not says then missing[heading] = true end
        heading, says = line:match("^### `(%l+[.:][%w_]+)%("), false
      elseif line:find("^Suspends: ") then
        says = true
      end
    end
    assert.equal("", lines_of(missing))
  end)

  it("has every code that an error can have", function()
    local codes, text = {}, read("docs/api.md")
    for code in read("src/lua/state/error.c"):gmatch('%[UJ_CODE_%u+%] = "(%l+)"') do
      codes[code] = true
    end
    assert.is_true(codes.cancelled)
    for code in pairs(codes) do
      assert.truthy(text:find(('\n| `"%s"` |'):format(code), 1, true), code)
    end
  end)

  it("has every state that a job can be in", function()
    local text = read("docs/api.md")
    for state in read("src/lua/api/job.c"):gmatch('%[UJ_JOB_%u+%] = "(%l+)"') do
      if state ~= "new" then -- no handle of such a job is given out
        assert.truthy(text:find(('`"%s"`'):format(state), 1, true), state)
      end
    end
  end)
end)

describe("the map in docs/design.md", function()
  it("names every source file and no other", function()
    local sources, named = {}, {}
    for _, path in ipairs(list "find src lua -name '*.[ch]' -o -name '*.lua'") do
      sources[path] = true
    end
    for row in read("docs/design.md"):gmatch("\n|([^|]*)|") do
      for path in row:gmatch("`([%w_/]+%.%a+)`") do named[path] = true end
    end
    assert.equal(lines_of(sources), lines_of(named))
  end)
end)

describe("the model in docs/model.md", function()
  it("states the promises M1 to M16, once each", function()
    local count = {}
    for number in read("docs/model.md"):gmatch("\n%- %*%*M(%d+)%*%* ") do
      count[number] = (count[number] or 0) + 1
    end
    for i = 1, 16 do assert.equal(1, count[tostring(i)], "M" .. i) end
  end)
end)
