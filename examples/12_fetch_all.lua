-- Fetches a page, and every page that can be reached from it by links, on the same host and
-- not above the directory of the first page. Each page is fetched once, by a job of its
-- own: LIMIT of them at a time, for SECONDS each. Then it prints which links are broken,
-- and how many pages and bytes there are; also when Ctrl-C ends it early.
--
--   script/run examples/12_fetch_all.lua URL
--   script/run examples/12_fetch_all.lua        fetches a site that it serves itself
--   uvjobs examples/12_fetch_all.lua https://www.lua.org/manual/5.4/
--
-- The exit status is 1 when a link is broken. It needs lua-http (Debian: lua-http).

local uvjobs = require "uvjobs"
local http = require "uvjobs.http"
local http_util = require "http.util"
local uri_patterns = require "lpeg_patterns.uri"

local LIMIT = 8
local SECONDS = 10
local MOST_PAGES = 10000 -- further pages are left out
local MOST_BYTES = 16 * 1024 * 1024 -- of one page

-- ---- addresses -------------------------------------------------------------

local URI = uri_patterns.uri * -1
local REFERENCE = uri_patterns.uri_reference * -1

--- Returns `path`, which is relative to the path `base`, as a path from the root without
--- "." and "..".
local function resolve_path(base, path)
  path = path:gsub("^%.%.?$", "%0/"):gsub("/%.%.?$", "%0/") -- these are directories
  return http_util.resolve_relative_path(base, path)
end

local function with_query(path, query)
  return query and path .. "?" .. query or path
end

--- Returns scheme, host and port as one text, and the path; or nil unless the address is
--- one of http or https.
local function split(uri)
  local port = uri.port or http_util.scheme_to_port[uri.scheme]
  if not uri.host or uri.scheme ~= "http" and uri.scheme ~= "https" then return nil end
  return ("%s://%s"):format(uri.scheme, http_util.to_authority(uri.host, port, uri.scheme)),
    resolve_path("/", uri.path or "/")
end

local function percent(character)
  return ("%%%02X"):format(character:byte())
end

--- Returns the path, with the query, of a link in the page at `base`; nil if that is not
--- below the start of the site.
local function resolve(site, base, link)
  local uri = REFERENCE:match((link:gsub("[^!-~]", percent)))
  if not uri then return nil end
  local root, path, query = site.root, base:match "^[^?]*", uri.query
  if uri.scheme or uri.host then
    uri.scheme = uri.scheme or site.root:match "^%a+"
    root, path = split(uri)
  elseif uri.path then
    path = resolve_path(path, uri.path)
  else
    query = query or base:match "%?(.*)$"
  end
  if root ~= site.root or path:sub(1, #site.start) ~= site.start then return nil end
  return with_query(path, query)
end

--- Calls `fn` with the address in each link of a text in HTML.
local function each_link(text, fn)
  for tag in text:gmatch "<[aA]%s[^>]*>" do
    local link = tag:match "%s[hH][rR][eE][fF]%s*=%s*(%b\"\")" or
      tag:match "%s[hH][rR][eE][fF]%s*=%s*(%b'')" or
      tag:match "%s[hH][rR][eE][fF]%s*=%s*([^%s\"'>]+)"
    if link then
      fn((link:gsub("^[\"']%s*", ""):gsub("%s*[\"']$", ""):gsub("&amp;", "&")))
    end
  end
end

-- ---- one page --------------------------------------------------------------

local add_page

--- The job of one page.
local function fetch(site, page)
  local answer, message, code = http.fetch(site.root .. page.path, {
    timeout = site.seconds, redirects = 0, max_body = MOST_BYTES, proxy = site.proxy,
  })
  page.known = true
  if not answer then
    page.problem = code == "timeout" and code or message
    return
  end
  page.known, page.bytes = true, #answer.body
  if answer.status // 100 == 3 then
    page.moved = true
    add_page(site, page.path, answer.headers.location or "")
  elseif answer.status // 100 ~= 2 then
    page.problem = tostring(answer.status)
  elseif (answer.headers["content-type"] or ""):find "^text/html" then
    each_link(answer.body, function(link) add_page(site, page.path, link) end)
  end
end

-- ---- all of them -----------------------------------------------------------

--- Spawns a job for the page that a link leads to, unless the page is known. The pending
--- queue has no limit: if jobs had to wait there until other jobs end, which wait there,
--- too, they would wait for ever.
function add_page(site, from, link)
  local path = resolve(site, from, link)
  if not path then return end
  local page = site.pages[path]
  if not page then
    if site.count == MOST_PAGES then
      site.left_out = true
      return
    end
    page = { path = path, bytes = 0, from = {} }
    site.pages[path], site.count = page, site.count + 1
    site.jobs:spawn({ name = path }, fetch, site, page)
  end
  if path ~= from then page.from[from] = true end
end

--- Fetches all pages of a site, whose `pages` has them by path then.
local function fetch_all(site, uri)
  local jobs <close> = uvjobs.scheduler {
    limit = LIMIT,
    pending_limit = math.huge, -- MOST_PAGES limits the number of jobs
    exception_handler = function(_, context)
      site.pages[context.job.name].problem = tostring(context.exception)
    end,
  }
  site.jobs = jobs
  local _, path = split(uri)
  add_page(site, path, with_query(path, uri.query))
end -- leaving the block waits for the jobs

local function sorted_keys(map)
  local keys = {}
  for key in pairs(map) do keys[#keys + 1] = key end
  table.sort(keys)
  return keys
end

--- Prints what is wrong with a page, and which pages have links to it.
local function print_broken(page)
  local from = sorted_keys(page.from)
  local where = from[1] and ", linked from " .. from[1] or ""
  if from[2] then where = ("%s and %d more"):format(where, #from - 1) end
  print(("broken: %s: %s%s"):format(page.path, page.problem, where))
end

--- Prints the broken links by path, and the sums. Returns whether no link is broken.
local function report(site)
  local pages, moved, broken, unknown, bytes = 0, 0, 0, 0, 0
  for _, path in ipairs(sorted_keys(site.pages)) do
    local page = site.pages[path]
    bytes = bytes + page.bytes
    if page.problem then
      broken = broken + 1
      print_broken(page)
    elseif page.moved then
      moved = moved + 1
    elseif not page.known then
      unknown = unknown + 1
    else
      pages = pages + 1
    end
  end
  print(("%d pages, %d moved, %d broken; %d bytes"):format(pages, moved, broken, bytes))
  if unknown > 0 then print(("interrupted: %d pages were not fetched"):format(unknown)) end
  if site.left_out then print(("there are more than %d"):format(MOST_PAGES)) end
  return broken == 0
end

--- Fetches all pages below a URL, and reports. The options are `seconds`, the limit for each
--- page, and `proxy` as for http.fetch. Returns whether no link is broken.
local function crawl(uri, options)
  local root, path = split(uri)
  local site = {
    root = root, start = path:match "^.*/", seconds = options.seconds,
    proxy = options.proxy, pages = {}, count = 0, left_out = false,
  }
  local good
  do -- however this block is left, there is a report
    local _ <close> = setmetatable({}, { __close = function() good = report(site) end })
    fetch_all(site, uri)
  end
  return good
end

-- ---- a site to try it with -------------------------------------------------

local PAGES = 40

local FIRST_PAGE = [[
<title>Start</title>
<a href="1.html">one</a> <A class=x HREF='../site/1.html'>one again</A> <a name="top">
<a href=old.html>moved</a> <a href="away.html">moved away</a> <a href="broken.html">500</a>
<a href="list?page=2&amp;all=1">a list</a> <a href="data.txt">text</a> <a href="../">up</a>
<a href="mailto:nobody@example.org">mail</a> <a href="//192.0.2.1/site/">elsewhere</a>
]]

local OTHER_PAGES = { -- besides the numbered ones
  ["/site/"] = { status = "200", body = FIRST_PAGE },
  ["/site/old.html"] = { status = "301", location = "3.html" },
  ["/site/away.html"] = { status = "302", location = "http://192.0.2.1/site/" },
  ["/site/broken.html"] = { status = "500" },
  ["/site/list?page=2&all=1"] = { status = "200", body = '<a href="?page=3">next</a>' },
  ["/site/list?page=3"] = { status = "200", body = "<a href='#top'>the last</a>" },
  ["/site/data.txt"] = { status = "200", kind = "text/plain", body = '<a href="no.html">' },
  ["/site/slow.html"] = { status = "200", seconds = 3600, body = "at last" },
}

--- Returns the text of a numbered page, with links to two others, to its parent and more.
local function numbered_page(n)
  local lines = { ("<title>Page %d</title>"):format(n) }
  local function link(...) lines[#lines + 1] = '<a href="' .. table.concat { ... } .. '">x</a>' end
  if 2 * n <= PAGES then link(2 * n, ".html") end
  if 2 * n + 1 <= PAGES then link("./sub/../", 2 * n + 1, ".html#part") end
  link("/site/", n > 1 and n // 2 .. ".html" or "")
  if n % 10 == 0 then link("missing/", n, ".html") end
  if n % 20 == 0 then link("slow.html") end
  return table.concat(lines, "\n") .. "\n"
end

--- Returns what the site has at a path.
local function look_up(path)
  local number = math.tointeger(tonumber(path:match "^/site/(%d+)%.html$"))
  if number and number <= PAGES then return { status = "200", body = numbered_page(number) } end
  return OTHER_PAGES[path] or { status = "404" }
end

--- Makes the log of the server: `asked` has the number of requests by path, `now` and `most`
--- how many are handled at once, and `given_up` how many clients have disconnected.
local function new_log()
  return { asked = {}, now = 0, most = 0, given_up = 0 }
end

--- The job of one request.
local function handle(log, stream)
  local path = assert(stream:get_headers()):get ":path"
  log.asked[path] = (log.asked[path] or 0) + 1
  log.now = log.now + 1
  log.most = math.max(log.most, log.now)
  local _ <close> = setmetatable({}, { __close = function(_, err)
    log.now = log.now - 1
    if uvjobs.code(err) == "cancelled" then log.given_up = log.given_up + 1 end
  end })
  local page = look_up(path)
  uvjobs.sleep(page.seconds or 0.01)
  http.respond(stream, page.status, page.body,
    { ["content-type"] = page.kind or "text/html", location = page.location })
end

local function print_log(log)
  local once, outside = true, 0
  for path, count in pairs(log.asked) do
    once = once and count == 1
    if not path:find "^/site/" then outside = outside + 1 end
  end
  print("each page was asked for once:", once)
  print("pages outside that were asked for:", outside)
  print(("never more than %d requests at once:"):format(LIMIT), log.most <= LIMIT)
  print("requests that were given up:", log.given_up)
end

local function crawl_own_site()
  local log = new_log()
  local good
  do
    local server <close> = http.server {
      port = 0, stop_timeout = 1, onstream = function(_, stream) handle(log, stream) end,
    }
    good = crawl(URI:match(server:url "/site/"), { seconds = 2, proxy = false })
  end
  print_log(log)
  return good
end

-- ---- the command line ------------------------------------------------------

local function main(text)
  local good
  if text then
    local uri = URI:match(text)
    if not uri or not split(uri) then
      io.stderr:write("usage: 12_fetch_all.lua [URL]\n")
      os.exit(2)
    end
    good = crawl(uri, { seconds = SECONDS })
  else
    good = crawl_own_site()
  end
  if not good then os.exit(1) end
end

-- The command `uvjobs` runs this file as a job; the plain interpreter does not.
if uvjobs.current() then main(...) else uvjobs.run(main, ...) end
