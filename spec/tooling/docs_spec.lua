-- The reference, the types for editors and the module have the same names; and
-- the map of the sources names all of them.

local files = require "spec.files"
local uvjobs = require "uvjobs"
local core = require "uvjobs.core"

local read, list = files.read, files.lines_of

--- The keys of a set, sorted, one a line: so that a failure shows what differs.
local function lines_of(set)
  local keys = {}
  for key in pairs(set) do keys[#keys + 1] = key end
  table.sort(keys)
  return table.concat(keys, "\n")
end

-- ---- what there is ---------------------------------------------------------

-- The types, with the word that the reference has for a value of each.
local TYPES = {
  scheduler = "Scheduler", job = "Job", event = "Event", queue = "Queue", semaphore = "Semaphore",
  mutex = "Mutex", permit = "Permit", err = "Error", repeating = "Repeating", channel = "Channel",
  blob = "Blob",
}

-- Types that users never have in their hands, or that have a page of their own.
local INTERNAL = {
  Await = true, Scope = true, State = true, Watch = true, Work = true, Zone = true,
  Schedule = true, Histogram = true,
  Rate = true, Gate = true, Window = true, Service = true, Waiter = true, Packed = true,
  Copied = true,
}

-- The scheduler of the repetition among the samples, which has to be closed.
local repeats

--- An error that has the properties of both.
local function error_like(first, second)
  return setmetatable({}, { __index = function(_, name)
    local value = first[name]
    if value == nil then value = second[name] end
    return value
  end })
end

--- A value of each type, with all its properties: those that are nil in some values, too.
local function samples()
  local job
  local _, err = pcall(uvjobs.run, { stats = true }, function()
    job = uvjobs.scheduler():spawn({ key = "sample", name = "sample" }, function()
      core.set_thread(1)
      return string.rep("x", 1e6)
    end)
    job:wait()
    io.popen("kill -INT $PPID"):close()
    uvjobs.sleep(60)
  end)
  core.set_stored(err, "unknown")
  local semaphore = uvjobs.semaphore(1)
  local permit = uvjobs.run(semaphore.permit, semaphore)
  repeats = uvjobs.scheduler()
  local repeating = repeats:every(5, { name = "sample" }, print)
  repeating:trigger()
  return {
    scheduler = uvjobs.scheduler { name = "sample", exception_handler = print, on_start = print,
                                   on_end = print },
    job = job, err = error_like(err, core.make_error("open", "sample", 1, "cause")),
    event = uvjobs.event(), queue = uvjobs.queue(), mutex = uvjobs.mutex(),
    semaphore = semaphore, permit = permit, repeating = repeating,
    channel = uvjobs.channel(), blob = uvjobs.blob "sample",
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

--- A function without arguments that calls `fn` once and keeps what it returns: an error costs
--- about a millisecond under a sanitizer, and there are tens of thousands.
local function once(fn)
  local result
  return function()
    result = result or fn()
    return result
  end
end

--- Every word of the sources that can be a name for Lua, as a set: of those in C what is in quotes.
--- The module cannot list its properties and options, but it says of a word whether it is one.
local vocabulary = once(function()
  local words = {}
  local function add(text, pattern)
    for word in text:gmatch(pattern) do words[word] = true end
  end
  for _, path in ipairs(list "find src -name '*.[ch]'") do
    add(read(path):gsub("/%*.-%*/", ""), '"([%a_][%w_]*)"')
  end
  for _, path in ipairs(list "find lua -name '*.lua'") do
    add(read(path):gsub("%-%-[^\n]*", ""), "[%a_][%w_]*")
  end
  return words
end)

local function get(value, name) return value[name] end

--- The interface of the module: `uvjobs.sleep`, `job:wait`, `job.state`, ...
local interface = once(function()
  local found, words = {}, vocabulary()
  for name in pairs(uvjobs) do found["uvjobs." .. name] = true end
  for owner, value in pairs(samples()) do
    local methods = methods_of(value)
    for name in pairs(methods) do found[owner .. ":" .. name] = true end
    for name in pairs(words) do
      local is_known, property = pcall(get, value, name) -- other names raise
      if not rawget(methods, name) and is_known and property ~= nil then
        found[owner .. "." .. name] = true
      end
    end
  end
  return found
end)

-- Calls each function that takes options, with these. They are refused, so nothing else happens.
local function callers()
  local scheduler = uvjobs.scheduler()
  return {
    uvjobs.scheduler,
    function(options) uvjobs.run(options, print) end,
    function(options) uvjobs.start(options, print) end,
    function(options) scheduler:spawn(options, print) end,
    function(options) scheduler:repeating(5, options, print) end,
    function(options) uvjobs.exec("true", {}, options) end,
    function(options) uvjobs.map({}, print, options) end,
    function(options) uvjobs.each({}, print, options) end,
    uvjobs.progress,
    function(options) uvjobs.work(options, function() end) end,
    function(options) uvjobs.channel(1, options) end,
  }
end

--- The options of all functions, as a set. No option can be a coroutine: what is an option is
--- refused for its value, and what is none is unknown.
local options = once(function()
  local found, words, value = {}, vocabulary(), coroutine.create(print)
  uvjobs.run(function()
    for _, call in ipairs(callers()) do
      for name in pairs(words) do
        local ok, err = pcall(call, { [name] = value })
        assert.is_false(ok, name)
        if not err:find("unknown option '" .. name .. "'", 1, true) then
          assert.matches(("option '%s'"):format(name), err, 1, true)
          found[name] = true
        end
      end
    end
  end)
  return found
end)

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
  for owner, class_name in pairs(TYPES) do words[class_name] = owner end
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
    for _, class in pairs(TYPES) do known[class] = true end
    for key in pairs(debug.getregistry()) do
      local class = type(key) == "string" and key:match "^uvjobs%.(%a+)$"
      if class and not INTERNAL[class] then found[class] = true end
    end
    assert.equal(lines_of(found), lines_of(known))
  end)
end)

describe("the interface", function()
  after_each(function() if repeats then repeats:close() end end)

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
      if sample[word] then assert.is_not_nil(sample[word][property], name) end
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
    local codes, text = core.codes(), read("docs/api.md")
    assert.is_true(#codes > 0)
    for _, code in ipairs(codes) do
      assert.truthy(text:find(('\n| `"%s"` |'):format(code), 1, true), code)
    end
  end)

  it("has every state that a job can be in", function()
    local states, text = core.states(), read("docs/api.md")
    assert.is_true(#states > 0)
    for _, state in ipairs(states) do
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
