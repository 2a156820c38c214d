--- What the programs share that run others in rounds and report what these have measured. They are
--- started in the directory of the tree.

local rounds = {}

--- The command of the interpreter that runs this program.
function rounds.interpreter()
  local i = 0
  while arg[i - 1] do i = i - 1 end
  return arg[i]
end

--- The first line that a command prints, or nil when it prints none or fails.
function rounds.first_line(command)
  local pipe <close> = assert(io.popen(command))
  local line = pipe:read "l"
  return pipe:close() and line or nil
end

--- All numbers in the first line that a command prints.
function rounds.numbers_of(command)
  local numbers = {}
  for number in (rounds.first_line(command) or ""):gmatch "%S+" do
    numbers[#numbers + 1] = tonumber(number)
  end
  return numbers
end

--- Whether a command succeeds; what it prints is dropped.
function rounds.succeeds(command)
  return (os.execute(command .. " >/dev/null 2>&1"))
end

--- Sorts the list and returns its median; nil for an empty one.
function rounds.median(list)
  table.sort(list)
  local low, high = list[(#list + 1) // 2], list[#list // 2 + 1]
  return low and (low + high) / 2
end

--- Ends the program with a message.
---@param program string
---@param message string
---@param status? integer
function rounds.fail(program, message, status)
  io.stderr:write(program, ": ", message, "\n")
  os.exit(status or 1)
end

--- Reads a command line `[-n ROUNDS] [ROW...]`.
---@param program string for the message when it is wrong
---@param default integer rounds without `-n`
---@return integer n
---@return fun(name: string): boolean is_wanted
function rounds.options(program, default)
  local n, wanted, i = default, {}, 1
  while arg[i] do
    if arg[i] == "-n" then
      i = i + 1
      n = math.tointeger(tonumber(arg[i]))
      if not n or n < 1 then rounds.fail(program, "usage: [-n ROUNDS] [ROW...]", 2) end
    else
      wanted[arg[i]] = true
    end
    i = i + 1
  end
  return n, function(name) return next(wanted) == nil or wanted[name] == true end
end

--- Puts the text where the document has what the program wrote there before, between the lines
--- `<!-- PROGRAM writes from here -->` and `<!-- to here -->`.
function rounds.refresh(path, program, text)
  local file <close> = assert(io.open(path))
  local before, after = file:read "a":match("^(.-\n<!%-%- " .. program ..
    " writes from here %-%->\n).-(<!%-%- to here %-%->.*)$")
  if not before then return end
  local out <close> = assert(io.open(path, "w"))
  out:write(before, text, after)
end

return rounds
