-- http.server with a part in each of several threads: the option `threads` or `workers`.
local web = require "spec.http.helper"
local helper = require "spec.helper"
local uvjobs = require "uvjobs"
local http = require "uvjobs.http"
local warm_up = require "spec.workers.warm_up"

local message, raises = helper.message, helper.raises

-- Calls fn in a run that ends in any case.
local function in_run(fn)
  return function() uvjobs.run(uvjobs.timeout, 600, fn) end
end

local function hello(_, stream)
  require "uvjobs.http".respond(stream, 200, "hello")
end

local function fetch(server, path, options)
  return assert(http.fetch(server:url(path), options))
end

local function number_threads(index) number = index end -- luacheck: ignore 111

-- Answers with the number of the thread, when `number_threads` has set that up.
local function tell_number(_, stream)
  require "uvjobs.http".respond(stream, 200, tostring(number)) -- luacheck: ignore 113
end

-- Fetches until each of two threads has answered. Which one does is up to the system.
local function ask_both(server)
  local seen = {}
  repeat seen[fetch(server).body] = true until seen["1"] and seen["2"]
end

describe("http.server in threads", function()
  lazy_setup(function()
    warm_up()
    pcall(web.check_clean) -- what stays counts from now on
  end)
  after_each(web.check_clean)

  it("listens on one port, and all threads answer", in_run(function()
    local workers <close> = uvjobs.workers { threads = 2, setup = number_threads }
    local server <close> = http.server { workers = workers, port = 0, onstream = tell_number }
    assert.equal(workers, server.workers)
    assert.is_true(server:port() > 0)
    assert.equal("uvjobs.http.Server: 127.0.0.1:" .. server:port(), tostring(server))
    ask_both(server)
    server:close()
    server:close()
    server:wait()
    assert.equal("network", select(3, http.fetch(server:url())))
    assert.equal(2, workers:call(function() return 2 end)) -- they are the program's
  end))

  it("makes threads of its own, which end with it", in_run(function()
    local workers
    do
      local server <close> = http.server { threads = 2, port = 0, onstream = hello }
      workers = server.workers
      assert.equal(2, workers.threads)
      assert.equal("hello", fetch(server).body)
    end
    assert.is_true(workers.closed)
  end))

  it("finds its handler in a module, as a server without threads does", in_run(function()
    for _, threads in ipairs { false, 1 } do
      local server <close> = http.server {
        threads = threads or nil, port = 0, onstream = "spec.http.handler",
      }
      assert.equal("/a", fetch(server, "/a").body)
    end
  end))

  it("tells the program of errors, and serves on", in_run(function()
    local reports, told = {}, uvjobs.event()
    local server <close> = http.server {
      threads = 1, port = 0, exception_handler = function(_, context)
        reports[#reports + 1] = context
        told:set()
      end,
      onstream = function(_, stream)
        local path = stream:get_headers():get ":path"
        if path == "/bad" then error({ bad = true }) end
        if path == "/strange" then error(print) end
        if path == "/late" then
          local inner = require "uvjobs"
          inner.timeout(0.001, inner.sleep, 60)
        end
        require "uvjobs.http".respond(stream, 200, "hello")
      end,
    }
    for _, path in ipairs { "/bad", "/strange", "/late" } do
      told:clear()
      assert.equal(500, fetch(server, path).status)
      told:wait()
    end
    assert.equal("hello", fetch(server).body)
    assert.same({ bad = true }, reports[1].exception)
    assert.matches("^function: ", reports[2].exception)
    assert.equal("timeout", uvjobs.code(reports[3].exception))
    for _, report in ipairs(reports) do
      assert.equal("Job processing failed", report.message)
      assert.equal(1, report.thread)
      assert.equal("request", report.name)
      assert.matches("threads_spec%.lua:%d+", report.traceback)
    end
    assert.equal(3, #reports)
  end))

  it("hands a copy of its data to the handlers, with channels", in_run(function()
    for _, threads in ipairs { false, 1 } do
      local data = { text = "data", said = uvjobs.channel() }
      local server <close> = http.server {
        threads = threads or nil, port = 0, data = data, onstream = function(_, stream, given)
          given.said:put(stream:get_headers():get ":path")
          require "uvjobs.http".respond(stream, 200, given.text)
        end,
      }
      assert.equal("data", fetch(server, "/x").body)
      assert.equal("/x", data.said:get())
    end
  end))

  -- Starts a server of two threads that take a request each, and has both at work: they answer
  -- when `go` is closed. Returns the server, and the jobs that wait for the answers.
  local function occupied(jobs, go, options)
    local said = uvjobs.channel()
    options.threads, options.port, options.limit, options.pending_limit = 2, 0, 1, 0
    options.data = { said = said, go = go }
    options.onstream = function(_, stream, data)
      data.said:put "began"
      data.go:get()
      require "uvjobs.http".respond(stream, 200, "finished")
    end
    local server, busy = http.server(options), {}
    while #busy < 2 do
      local job = jobs:spawn(function()
        local answer = http.fetch(server:url())
        said:put "answered"
        return answer
      end)
      if said:get() == "began" then busy[#busy + 1] = job end
    end
    return server, busy
  end

  it("limits each thread for itself", in_run(function()
    local jobs <close> = uvjobs.scheduler()
    local go = uvjobs.channel()
    local server <close>, busy = occupied(jobs, go, {})
    assert.equal(503, fetch(server).status)
    go:close()
    for _, job in ipairs(busy) do assert.equal("finished", job:wait().body) end
  end))

  it("lets the requests of all threads finish when it is closed", in_run(function()
    local jobs <close> = uvjobs.scheduler()
    local go = uvjobs.channel()
    local server, busy = occupied(jobs, go, { stop_timeout = 600 })
    local closing = jobs:spawn(server.close, server)
    web.wait_until(function() return not http.fetch(server:url()) end)
    assert.is_false(closing.closed)
    go:close()
    for _, job in ipairs(busy) do assert.equal("finished", job:wait().body) end
    closing:wait()
    server:wait()
  end))

  it("lets them finish when the job that has it is cancelled", in_run(function()
    local jobs <close> = uvjobs.scheduler { close_timeout = 600 }
    local go, serving = uvjobs.channel(), uvjobs.event()
    local busy
    local job = jobs:spawn(function()
      local server <close>, answers = occupied(jobs, go, { stop_timeout = 600 })
      busy = answers
      serving:set()
      server:wait()
    end)
    serving:wait()
    job:cancel()
    uvjobs.yield()
    go:close()
    raises("cancelled", job.wait, job)
    for _, answer in ipairs(busy) do assert.equal("finished", answer:wait().body) end
  end))

  it("cancels them after its stop_timeout, in all threads", in_run(function()
    local jobs <close> = uvjobs.scheduler()
    local go = uvjobs.channel()
    local server, busy = occupied(jobs, go, { stop_timeout = 0.02 })
    server:close()
    for _, job in ipairs(busy) do assert.is_nil(job:wait()) end
  end))

  it("ends also when a handler computes without end", in_run(function()
    local began = uvjobs.channel()
    local jobs <close> = uvjobs.scheduler()
    do
      local server <close> = http.server {
        threads = 1, port = 0, stop_timeout = 0.02, close_timeout = 0.02, data = began,
        exception_handler = helper.ignore, onstream = function(_, _, channel)
          channel:put(true)
          while true do pcall(string.rep, "x", 10) end
        end,
      }
      jobs:spawn(http.fetch, server:url())
      began:get()
    end
  end))

  it("stops in all threads when a handler closes it", in_run(function()
    local server <close> = http.server {
      threads = 2, port = 0, onstream = function(server, stream)
        server:close()
        require "uvjobs.http".respond(stream, 200, "the last")
      end,
    }
    assert.equal("the last", fetch(server).body)
    server:wait()
  end))

  it("stops when its workers are closed", in_run(function()
    local workers = uvjobs.workers { threads = 2 }
    local server <close> = http.server { workers = workers, port = 0, onstream = hello }
    workers:close()
    server:wait()
    assert.is_nil((http.fetch(server:url())))
    assert.equal("bad argument #1 to 'server' (option 'workers': they are closed)",
      message(http.server, { workers = workers, port = 0, onstream = hello }))
  end))

  it("speaks TLS in all threads", in_run(function()
    local server <close> = http.server {
      threads = 2, port = 0, onstream = hello,
      ctx = function() return require "spec.http.context" () end,
    }
    assert.matches("^https:", server:url())
    for _, version in ipairs { "--http1.1", "--http2" } do
      local site = { scheme = "https", port = server:port() }
      assert.equal("hello", (web.curl(site, "-k", version, "/")))
    end
  end))

  it("does not start when a part fails, and says why", in_run(function()
    local before = web.descriptors()
    assert.equal("no certificate", message(http.server, {
      threads = 2, port = 0, onstream = hello, ctx = function(index)
        if index == 2 then error "no certificate" end
      end,
    }))
    assert.matches("^bad argument #1 to 'server' %(option 'onstream': module 'no.such'",
      message(http.server, { threads = 2, port = 0, onstream = "no.such" }))
    assert.equal(before, web.descriptors())
  end))

  it("does not share its port with another server, unless it is told to", in_run(function()
    local workers <close> = uvjobs.workers { threads = 1 }
    local server <close> = http.server { workers = workers, port = 0, onstream = hello }
    local function listen(reuseport)
      local _ <close> = http.server {
        workers = workers, port = server:port(), onstream = hello, reuseport = reuseport,
      }
    end
    local text = ("cannot listen on 127.0.0.1:%d: Address already in use"):format(server:port())
    assert.equal(text, message(listen))
    assert.equal(text, message(listen, false))
    listen(true)
  end))

  it("refuses what cannot go to another thread, and misuse", in_run(function()
    local function refused(what, options)
      options.port, options.onstream = options.port or 0, options.onstream or hello
      assert.equal(("bad argument #1 to 'server' (option %s)"):format(what),
        message(http.server, options))
    end
    local workers <close> = uvjobs.workers { threads = 1 }
    local scheduler <close> = uvjobs.scheduler()
    local n = 1
    local function counts() n = n + 1 end
    refused("'onstream': function without upvalues expected, got one that uses 'n'",
      { threads = 1, onstream = counts })
    refused("'on_end': function without upvalues expected, got one that uses 'n'",
      { threads = 1, on_end = counts })
    refused("'onstream': Lua function expected, got a C function",
      { threads = 1, onstream = print })
    refused("'onstream': function or name of a module expected, got 1", { onstream = 1 })
    for _, value in ipairs { 0, -1, 1.5, 1025, 0 / 0, math.huge, "2" } do
      assert.matches("option 'threads': integer from 1 to 1024 expected, got ",
        message(http.server, { threads = value, port = 0, onstream = hello }))
    end
    refused("'workers': uvjobs.Workers expected, got 2", { workers = 2 })
    assert.matches("options 'threads' and 'workers' exclude each other",
      message(http.server, { threads = 1, workers = workers, port = 0, onstream = hello }))
    refused("'scheduler' cannot be used with 'threads': each thread has a scheduler of its own",
      { threads = 1, scheduler = scheduler })
    refused("'timeslice' cannot be used with 'workers': that is the one of workers",
      { workers = workers, timeslice = 1 })
    refused("'path' cannot be used with 'threads': a Unix socket cannot be shared by threads",
      { threads = 1, path = "/nowhere" })
    refused("'ctx': function that returns a context expected, since no other thread can use "
      .. "this one", { threads = 1, ctx = require "spec.http.context" () })
    assert.matches("option 'data': ", message(http.server,
      { threads = 1, port = 0, onstream = hello, data = { print } }))
  end))

  it("leaves nothing wherever the job that has it is cancelled or killed", in_run(function()
    for _, by in ipairs { "cancel", "kill" } do
      local jobs <close> = uvjobs.scheduler { exception_handler = helper.ignore }
      for turns = 0, 12 do
        local job = jobs:spawn(function()
          local server <close> = http.server {
            threads = 1, port = 0, stop_timeout = 0.01, onstream = hello,
          }
          http.fetch(server:url())
        end)
        helper.yield(turns)
        if by == "kill" then pcall(job.close, job, 0) else job:cancel() end
        job:join()
      end
    end
  end))
end)
