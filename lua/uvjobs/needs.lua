-- Parts of uvjobs need libraries that uvjobs itself does not need. When one is missing, the
-- message says what to install, instead of where it was looked for.

local ADVICE <const> = {
  luv = "luv: luarocks install luv, or Debian's lua-luv",
  cqueues = "cqueues: luarocks install cqueues, or Debian's lua-cqueues",
  ["http.server"] = "lua-http: luarocks install http, or Debian's lua-http",
}

--- Loads a library for a part of uvjobs. Does not suspend.
--- Errors: that the library is missing; those of loading it.
---@param part string such as "uvjobs.exec"
---@param name string of the library's module
---@return any module
return function(part, name)
  local ok, result = pcall(require, name)
  if ok then return result end
  local missing = ("module '%s' not found"):format(name)
  if type(result) == "string" and result:find(missing, 1, true) then
    error(("%s needs %s"):format(part, ADVICE[name]), 0)
  end
  error(result, 0)
end
