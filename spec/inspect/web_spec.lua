-- The page of `uvjobs web`, served by a process of its own.

local files = require "spec.files"
local helper = require "spec.inspect.helper"
local http = require "uvjobs.http"
local process = require "spec.process"
local processes = require "uvjobs.inspect.processes"
local uvjobs = require "uvjobs"

local eventually = helper.eventually

local PROGRAM <const> = [[
  local uvjobs = require "uvjobs"
  uvjobs.run({ inspect = { control = true } }, function()
    local shop = uvjobs.scheduler { name = "shop" }
    local job = shop:spawn({ name = "<b>sale</b>" }, uvjobs.sleep, 60)
    io.stdout:write "ready\n":flush()
    job:join()
    print(job.state)
    io.stdout:flush()
    uvjobs.sleep(60)
  end)]]

local Server = {}

--- Ends it by SIGTERM, and waits for that.
function Server:stop()
  os.execute(("kill %d 2>/dev/null"):format(self.pid))
  eventually(function()
    local found = processes.get(self.pid)
    return not found or found.state == "Z"
  end)
end

--- Starts the command for a process. Returns a value for a <close> variable with the address of
--- the server and the token.
local function serve(pid)
  local base = os.tmpname()
  local command = "%s bin/uvjobs web %d >%s 2>&1 </dev/null & echo $!"
  local pipe <close> = assert(io.popen(command:format(
    process.command(), pid, base)))
  local own = math.tointeger(tonumber(pipe:read "l"))
  local self = setmetatable({ pid = own, file = base }, { __close = function(self)
    self:stop()
    os.remove(base)
  end, __index = Server })
  self.base, self.token = eventually(function()
    return files.read(base):match "^(http://127.0.0.1:%d+)/%?token=%x+\n$"
  end), files.read(base):match "token=(%x+)\n$"
  return self
end

local function in_run(fn)
  return function()
    local program <close> = helper.start(PROGRAM)
    program:wait_for "ready"
    local server <close> = serve(program.pid)
    uvjobs.run(function() fn(server, program) end)
  end
end

local function fetch(server, path, options)
  return assert(http.fetch(server.base .. path, options))
end

--- As the page does it.
local function ask(server, path, method)
  return fetch(server, path, { method = method, headers = { ["x-token"] = server.token } })
end

describe("the page", function()
  it("is given to who has the token, and to nobody else", in_run(function(server)
    assert.equal(32, #server.token)
    local page = fetch(server, "/?token=" .. server.token)
    assert.equal(200, page.status)
    assert.matches("^<!doctype html>", page.body)
    for _, path in ipairs { "/", "/?token=", "/?token=" .. server.token .. "0",
      "/?token=" .. ("0"):rep(32), "/api/processes", "/api/processes?token=" .. server.token,
      "/api/look?pid=1", "/nothing" } do
      local answer = fetch(server, path)
      assert.equal(403, answer.status, path)
      assert.is_nil(answer.body:find(server.token, 1, true))
    end
  end))

  it("is not given for another host, so no name can be made to lead to it", in_run(function(server)
    for _, host in ipairs { "evil.example", "127.0.0.1.evil.example", "127.0.0.1@evil.example",
      "10.0.0.1:80" } do
      local answer = fetch(server, "/?token=" .. server.token, { headers = { host = host } })
      assert.equal(403, answer.status, host)
    end
    local port = server.base:match ":(%d+)$"
    for _, host in ipairs { "localhost", "LOCALHOST:" .. port, "[::1]:" .. port } do
      local answer = fetch(server, "/?token=" .. server.token, { headers = { host = host } })
      assert.equal(200, answer.status, host)
    end
  end))

  it("runs nothing but its own script, and cannot be framed", in_run(function(server)
    local page = fetch(server, "/?token=" .. server.token)
    local policy = page.headers["content-security-policy"]
    assert.matches("default%-src 'none'", policy)
    assert.matches("frame%-ancestors 'none'", policy)
    local nonce = policy:match "script%-src 'nonce%-(%x+)'"
    assert.truthy(page.body:find(('<script nonce="%s">'):format(nonce), 1, true))
    assert.equal("no-store", page.headers["cache-control"])
    local again = fetch(server, "/?token=" .. server.token)
    assert.is_nil(again.body:find(nonce, 1, true))
  end))

  it("gets the processes and the jobs as JSON", in_run(function(server, program)
    local list = ask(server, "/api/processes")
    assert.equal(200, list.status)
    assert.matches(('^%%[{"command":"[^"]*","jobs":2,"pid":%d,"state":"runs"}%%]$'):format(
      program.pid), list.body)
    for _, sort in ipairs { "age", "ran", "ready", "resumes" } do
      local jobs = ask(server, ("/api/look?pid=%d&sort=%s"):format(program.pid, sort))
      assert.equal(200, jobs.status)
      assert.truthy(jobs.body:find([["name":"\u003cb>sale\u003c/b>"]], 1, true))
      assert.matches('"total":2', jobs.body)
    end
  end))

  it("refuses what is no question", in_run(function(server, program)
    for path, status in pairs {
      ["/api/look"] = 400, ["/api/look?pid=x"] = 400, ["/api/look?pid=-1"] = 400,
      ["/api/look?pid=99999999999999999999"] = 400, ["/api/look?pid=1"] = 400, -- not asked for
      [("/api/look?pid=%d&sort=evil"):format(program.pid)] = 400,
      [("/api/cancel?pid=%d&job=2"):format(program.pid)] = 404, -- needs POST
      ["/nothing"] = 404,
    } do
      assert.equal(status, ask(server, path).status, path)
    end
    assert.equal(400, ask(server, "/api/cancel?pid=x&job=2", "POST").status)
    assert.equal(409, ask(server, ("/api/cancel?pid=%d&job=99"):format(program.pid), "POST").status)
  end))

  it("can cancel a job if the program allows it #I16", in_run(function(server, program)
    assert.equal(200, ask(server, ("/api/cancel?pid=%d&job=2"):format(program.pid), "POST").status)
    program:wait_for "cancelled"
  end))

  it("shows the jobs in a browser, and their names as text", function()
    if os.execute "env -u LD_PRELOAD chromium --version >/dev/null 2>&1" ~= true then
      return pending "needs chromium"
    end
    local program <close> = helper.start(PROGRAM)
    program:wait_for "ready"
    local server <close> = serve(program.pid)
    local profile = os.tmpname()
    os.remove(profile)
    -- A sanitizer that is loaded into this process is not for the browser.
    local command = "env -u LD_PRELOAD %s chromium --headless --no-sandbox --disable-gpu "
      .. "--dump-dom --virtual-time-budget=5000 --user-data-dir=%s '%s/?token=%s&pid=%d' "
      .. "2>/dev/null"
    local pipe <close> = io.popen(command:format(process.GUARD, profile, server.base,
      server.token, program.pid))
    local dom = pipe:read "a"
    os.execute("rm -rf " .. profile)
    assert.truthy(dom:find("#2 &lt;b&gt;sale&lt;/b&gt;", 1, true), dom)
    assert.truthy(dom:find('<td data-label="scheduler">shop</td>', 1, true))
  end)
end)

describe("uvjobs web", function()
  it("ends by a signal without a word", function()
    local server <close> = serve(1)
    server:stop()
    assert.matches("^http://127.0.0.1:%d+/%?token=%x+\n$", files.read(server.file))
  end)

  it("refuses what is no port", function()
    for text, message in pairs {
      ["--port=x"] = "option '--port': port expected, got 'x'",
      ["--port=65536"] = "option '--port': port expected, got '65536'",
      ["--port"] = "option '--port' needs a value",
      ["--prot=1"] = "unknown option '--prot=1', did you mean '--port'?",
      ["x"] = "number of a process expected, got 'x'",
    } do
      local _, complaint, status = helper.uvjobs("web " .. text)
      assert.same({ 2, ("uvjobs: %s\nTry 'uvjobs web --help'.\n"):format(message) },
        { status, complaint })
    end
  end)
end)
