--- The phases of a run in which spec/signals/every_phase_spec.lua sends signals.
--- The scripts say "ready" in the phase that they are about. They are sent the signal then, and
--- the line "go" after it, unless it is not to be read: `go` is false. `out` is what they print
--- afterwards. `plain` scripts are run by the interpreter, the others by the command.

local phases = {
  {
    name = "at the start of the main job",
    script = [[
      local _ <close> = cleaning "main"
      say "ready"
      uvjobs.sleep(600)
    ]],
    out = { "main cancelled" },
  },
  {
    name = "while jobs are ready",
    script = [[
      local s <close> = uvjobs.scheduler()
      local _ <close> = cleaning "main"
      for i = 1, 3 do
        s:spawn(function()
          local _ <close> = cleaning("job " .. i)
          if i == 3 then say "ready" end
          while true do uvjobs.yield() end
        end)
      end
      while true do uvjobs.yield() end
    ]],
    out = { "main cancelled", "job 1 cancelled", "job 2 cancelled", "job 3 cancelled" },
  },
  {
    name = "while all jobs wait",
    script = [[
      local s <close> = uvjobs.scheduler()
      local _ <close> = cleaning "main"
      local queue = uvjobs.queue()
      s:spawn(function()
        local _ <close> = cleaning "sleeper"
        uvjobs.sleep(600)
      end)
      s:spawn(function()
        local _ <close> = cleaning "getter"
        say "ready"
        queue:get()
      end)
      uvjobs.event():wait()
    ]],
    out = { "main cancelled", "sleeper cancelled", "getter cancelled" },
  },
  {
    name = "in waits for I/O of luv",
    script = [[
      local s <close> = uvjobs.scheduler()
      local _ <close> = cleaning "main"
      local server <close> = uv.new_tcp()
      assert(server:bind("127.0.0.1", 0))
      assert(server:listen(1))
      s:spawn(function()
        local pipe <close> = stdin()
        local _ <close> = cleaning "reader"
        say "ready"
        pipe:read_some()
        uvjobs.sleep(600)
      end)
      server:next()
    ]],
    go = false,
    out = { "main cancelled", "reader cancelled" },
  },
  {
    name = "in exec with a child",
    script = [[
      local _ <close> = cleaning "main"
      uvjobs.exec("sh", { "-c", "echo ready; exec sleep 600" }, { on_stdout = say })
    ]],
    out = { "main cancelled" },
  },
  {
    name = "in exec with a child that does not hear SIGTERM",
    script = [[
      local _ <close> = cleaning "main"
      uvjobs.exec("sh", { "-c", "trap '' TERM INT; echo ready; exec sleep 600" },
        { on_stdout = say })
    ]],
    out = { "main cancelled" },
  },
  {
    name = "in the clean-up of exec",
    script = [[
      local s <close> = uvjobs.scheduler { close_timeout = 600 }
      local _ <close> = cleaning "main"
      local job
      job = s:spawn(function()
        local _ <close> = cleaning "job"
        uvjobs.exec("sh", { "-c", "trap 'echo ready; read x; exit 0' TERM; echo up >&2; read x" },
          { stdin = 0, stdout = 1, on_stderr = function() job:cancel() end })
      end)
      uvjobs.sleep(600)
    ]],
    out = { "job cancelled", "main cancelled" },
    any_order = true,
  },
  {
    name = "in work",
    script = [[
      local _ <close> = cleaning "main"
      uvjobs.work(function()
        io.stdout:write "ready\n"
        io.stdout:flush()
        while true do end
      end)
    ]],
    out = { "main cancelled" },
  },
  {
    name = "in the main job while it computes",
    script = [[
      local _ <close> = cleaning "main"
      say "ready"
      while true do end
    ]],
    out = { "main cancelled" },
  },
  {
    name = "in a busy job without a time slice",
    script = [[
      local s <close> = uvjobs.scheduler { close_timeout = 600 }
      local _ <close> = cleaning "main"
      s:spawn(function()
        local _ <close> = cleaning "job"
        say "ready"
        while true do end
      end)
      uvjobs.sleep(600)
    ]],
    out = { "main cancelled", "job cancelled" },
  },
  {
    name = "in busy jobs with time slices",
    script = [[
      local s <close> = uvjobs.scheduler { timeslice = 0.002, close_timeout = 600 }
      local _ <close> = cleaning "main"
      for i = 1, 2 do
        s:spawn(function()
          local _ <close> = cleaning "job"
          if i == 2 then say "ready" end
          while true do end
        end)
      end
      uvjobs.sleep(600)
    ]],
    out = { "main cancelled", "job cancelled", "job cancelled" },
  },
  {
    name = "in protect",
    script = [[
      local _ <close> = cleaning "main"
      uvjobs.protect(function()
        local pipe <close> = stdin()
        say "ready"
        say(pipe:read_some():match "%w+")
      end)
      uvjobs.sleep(600)
    ]],
    out = { "go", "main cancelled" },
  },
  {
    name = "in a <close> handler",
    script = [[
      local _ <close> = cleaning "main"
      local _ <close> = closing(function()
        say "ready"
        uvjobs.sleep(600)
      end)
    ]],
    out = { "main cancelled" },
  },
  {
    name = "in wait_and_close",
    script = [[
      local s = uvjobs.scheduler { close_timeout = 600 }
      local _ <close> = cleaning "main"
      s:spawn(function()
        local _ <close> = cleaning "job"
        say "ready"
        uvjobs.sleep(600)
      end)
      s:wait_and_close(600)
    ]],
    out = { "main cancelled", "job cancelled" },
  },
  {
    name = "at the end of a scheduler's block",
    script = [[
      local _ <close> = cleaning "main"
      do
        local s <close> = uvjobs.scheduler { close_timeout = 600, wait_timeout = 600 }
        s:spawn(function()
          local _ <close> = cleaning "job"
          say "ready"
          uvjobs.sleep(600)
        end)
      end
      uvjobs.sleep(600)
    ]],
    out = { "job cancelled", "main cancelled" },
  },
  {
    name = "while it closes a scheduler",
    script = [[
      local _ <close> = cleaning "main"
      local s = uvjobs.scheduler { close_timeout = 600 }
      s:spawn(function()
        local _ <close> = closing(function()
          uvjobs.protect(function()
            local pipe <close> = stdin()
            say "ready"
            say(pipe:read_some():match "%w+")
          end)
        end)
        uvjobs.sleep(600)
      end)
      uvjobs.yield()
      s:close()
      uvjobs.sleep(600)
    ]],
    out = { "go", "main cancelled" },
    any_order = true, -- the call of close() is cancelled, not the closing
  },
  {
    name = "in an exception handler",
    script = [[
      local s <close> = uvjobs.scheduler { exception_handler = function(_, context)
        say "ready"
        say(io.read(), context.exception)
      end }
      local _ <close> = cleaning "main"
      s:spawn(error, "on purpose", 0)
      uvjobs.sleep(600)
    ]],
    out = { "go on purpose", "main cancelled" },
  },
  {
    name = "in a callback of luv",
    script = [[
      local _ <close> = cleaning "main"
      local timer <close> = uv.new_timer()
      timer:start(0, 0, function()
        say "ready"
        say(io.read())
      end)
      uvjobs.sleep(600)
    ]],
    out = { "go", "main cancelled" },
  },
  {
    name = "in the children of all",
    script = [[
      local _ <close> = cleaning "main"
      local function child(i)
        local _ <close> = cleaning("child " .. i)
        if i == 2 then say "ready" end
        uvjobs.sleep(600)
      end
      uvjobs.map({ 1, 2 }, child)
    ]],
    out = { "child 1 cancelled", "child 2 cancelled", "main cancelled" },
  },
  {
    name = "in a coroutine of a job",
    script = [[
      local cojobs = require "uvjobs.coroutine"
      local _ <close> = cleaning "main"
      cojobs.wrap(function()
        local _ <close> = closing(function(_, err) say("coroutine", uvjobs.code(err)) end)
        say "ready"
        uvjobs.sleep(600)
      end)()
    ]],
    out = { "coroutine cancelled", "main cancelled" },
  },
  {
    name = "in shield",
    script = [[
      local s <close> = uvjobs.scheduler()
      local _ <close> = cleaning "main"
      s:shield(function()
        local _ <close> = cleaning "shielded"
        say "ready"
        uvjobs.sleep(600)
      end)
    ]],
    out = { "main cancelled", "shielded cancelled" },
  },
  {
    name = "in http.serve with a request",
    http = true,
    script = [[
      local http = require "uvjobs.http"
      local new_headers = require "http.headers".new
      local server = assert(require "http.server".listen {
        host = "127.0.0.1", port = 0, tls = false,
        onstream = function(_, stream)
          assert(stream:get_headers())
          local pipe <close> = stdin()
          say "ready"
          local text = pipe:read_some():match "%w+"
          local headers = new_headers()
          headers:append(":status", "200")
          assert(stream:write_headers(headers, false))
          assert(stream:write_body_from_string(text))
        end,
      })
      assert(server:listen())
      http.setup(server, { wait_timeout = 600 })
      local _, _, port = server:localname()
      local clients <close> = uvjobs.scheduler { close_timeout = 600 }
      local client = clients:spawn(function()
        local _, stream = assert(require "http.request".new_from_uri(
          ("http://127.0.0.1:%d/"):format(port)):go())
        say(stream:get_body_as_string())
      end)
      local _ <close> = cleaning "main"
      local _ <close> = closing(function() uvjobs.protect(client.join, client) end)
      http.serve(server)
    ]],
    out = { "go", "main cancelled" },
  },
  {
    name = "under the virtual clock",
    plain = true,
    script = [[
      run({ clock = "virtual" }, function()
        local s <close> = uvjobs.scheduler()
        local _ <close> = cleaning "main"
        s:spawn(function()
          local _ <close> = cleaning "sleeper"
          uvjobs.sleep(3600)
        end)
        local pipe <close> = stdin()
        say "ready"
        pipe:read_some()
        uvjobs.sleep(600)
      end)
    ]],
    go = false,
    out = { "main cancelled", "sleeper cancelled", "run cancelled SIGNAL" },
  },
  {
    name = "with a time slice of the main job",
    plain = true,
    script = [[
      run({ timeslice = 0.002 }, function()
        local _ <close> = cleaning "main"
        say "ready"
        while true do end
      end)
    ]],
    out = { "main cancelled", "run cancelled SIGNAL" },
  },
}

return phases
