--- The structure of src/, read from the sources themselves: which file includes
--- which, and which uses a function that another defines. A .c file and its
--- header count as one file, named by their path without the ending.

local structure = {}

--- The text with comments blanked, line by line.
function structure.code_of(text)
  text = text:gsub("/%*.-%*/", function(s) return (s:gsub("[^\n]", " ")) end)
  return (text:gsub("//[^\n]*", ""))
end

--- The path of a source without its ending.
function structure.file_of(path)
  return (path:gsub("%.[ch]$", ""))
end

--- The names that a source defines for others: functions that are not static,
--- inline functions of a header, and data.
local function definitions(path, code)
  local names = {}
  for line in code:gmatch("[^\n]+") do
    local start = line:match("^[%a_][%w_ %*]*") and not line:find("^static [^i]")
      and not line:find("^extern") and not line:find("^typedef")
    if start and (path:find("%.c$") or line:find("^static inline")) then
      local name = line:match("%f[%w_](uj_[%w_]+)%s*%(")
        or line:match("%f[%w_](uj_[%w_]+)%[?%]? = ")
      local declared = name and line:find("%f[%w_]" .. name .. "%s*%(.*%);")
      if name and not declared then names[#names + 1] = name end
    end
  end
  return names
end

--- The edges of the graph: edges[file][other] = why (an include or a name).
--- `sources` maps paths to texts.
function structure.edges(sources)
  local code, owner, edges = {}, {}, {}
  for path, text in pairs(sources) do
    code[path] = structure.code_of(text)
    edges[structure.file_of(path)] = {}
    for _, name in ipairs(definitions(path, code[path])) do
      owner[name] = structure.file_of(path)
    end
  end
  for path, text in pairs(code) do
    local file = structure.file_of(path)
    local function point(other, why)
      if other and other ~= file and edges[other] and not edges[file][other] then
        edges[file][other] = why
      end
    end
    for include in text:gmatch('#%s*include%s*"([^"]+)"') do
      point("src/" .. structure.file_of(include), "includes " .. include)
    end
    for name in text:gsub("struct%s+uj_[%w_]+", ""):gmatch("%f[%w_]uj_[%w_]+") do
      point(owner[name], "uses " .. name)
    end
  end
  return edges
end

local function sorted_keys(set)
  local keys = {}
  for key in pairs(set) do keys[#keys + 1] = key end
  table.sort(keys)
  return keys
end

--- The edges between the files of a set, a line each.
local function describe(members, edges)
  local lines = {}
  for _, from in ipairs(sorted_keys(members)) do
    for _, to in ipairs(sorted_keys(edges[from])) do
      if members[to] then
        lines[#lines + 1] = ("  %s -> %s: %s"):format(from, to, edges[from][to])
      end
    end
  end
  return "a circle of\n" .. table.concat(lines, "\n")
end

--- The circles of the graph, each as a text: sets of files of which each reaches
--- each other. They are the strongly connected components, by the algorithm of
--- R. Tarjan, "Depth-First Search and Linear Graph Algorithms" (1972).
function structure.circles(edges)
  local index, low, stack, on_stack, count, found = {}, {}, {}, {}, 0, {}

  local function take_component(root)
    local members, size = {}, 0
    local file
    repeat
      file = table.remove(stack)
      on_stack[file], members[file], size = nil, true, size + 1
    until file == root
    if size > 1 then found[#found + 1] = describe(members, edges) end
  end

  local function visit(file)
    count = count + 1
    index[file], low[file] = count, count
    stack[#stack + 1], on_stack[file] = file, true
    for _, other in ipairs(sorted_keys(edges[file])) do
      if not index[other] then
        visit(other)
        low[file] = math.min(low[file], low[other])
      elseif on_stack[other] then
        low[file] = math.min(low[file], index[other])
      end
    end
    if low[file] == index[file] then take_component(file) end
  end

  for _, file in ipairs(sorted_keys(edges)) do
    if not index[file] then visit(file) end
  end
  return found
end

--- The floor of a file: the number of the first line of `floors`, from the
--- top, of which a pattern matches it; or nil.
function structure.floor_of(file, floors)
  for number, patterns in ipairs(floors) do
    for _, pattern in ipairs(patterns) do
      if file:find("^" .. pattern .. "$") then return number end
    end
  end
end

--- What looks up: edges from a floor to one above it, and files of no floor.
function structure.upward(edges, floors)
  local found = {}
  for _, file in ipairs(sorted_keys(edges)) do
    local floor = structure.floor_of(file, floors)
    if not floor then found[#found + 1] = file .. ": belongs to no floor" end
    for _, other in ipairs(sorted_keys(edges[file])) do
      local above = structure.floor_of(other, floors)
      if floor and above and above < floor then
        found[#found + 1] = ("%s looks up: %s"):format(file, edges[file][other])
      end
    end
  end
  return found
end

return structure
