--- Files for specs.
local files = {}

function files.read(path)
  local file <close> = assert(io.open(path))
  return file:read("a")
end

function files.write(path, text)
  local file <close> = assert(io.open(path, "w"))
  file:write(text)
end

--- The name of a new file with this text, which has to be removed.
function files.temporary(text)
  local path = os.tmpname()
  files.write(path, text)
  return path
end

--- The lines that a shell command prints.
function files.lines_of(command)
  local pipe <close> = assert(io.popen(command))
  local lines = {}
  for line in pipe:lines() do lines[#lines + 1] = line end
  return lines
end

return files
