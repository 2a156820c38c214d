-- Compares the table of docs/luv.md, which lists luv's functions with a callback, with luv itself.
-- When a release of luv adds or removes a function, this fails.
local luv = require "luv"
local uvjobs = require "uvjobs"
local uv = require "uvjobs.uv"
local world = require "spec.uv.helper"

local DOCUMENT <const> = "docs/luv.md"

-- Functions that take no callback, or call it before they return.
local WITHOUT <const> = [[
  accept async_send available_parallelism backend_fd backend_timeout cancel chdir check_stop
  cpu_info cwd disable_stdio_inheritance exepath fileno fs_event_getpath fs_event_stop
  fs_poll_getpath fs_poll_stop fs_scandir_next get_constrained_memory get_free_memory
  get_process_title get_total_memory getgid getpid getrusage gettimeofday getuid guess_handle
  handle_get_type has_ref hrtime idle_stop if_indextoiid if_indextoname interface_addresses
  is_active is_closing is_readable is_writable kill loadavg loop_alive loop_close
  loop_configure loop_mode metrics_idle_time new_check new_fs_event new_fs_poll new_idle
  new_pipe new_poll new_prepare new_signal new_socket_poll new_tcp new_timer new_tty new_udp
  now os_environ os_get_passwd os_getenv os_gethostname os_getpid os_getppid os_getpriority
  os_homedir os_setenv os_setpriority os_tmpdir os_uname os_unsetenv pipe pipe_bind
  pipe_chmod pipe_getpeername pipe_getsockname pipe_open pipe_pending_count
  pipe_pending_instances pipe_pending_type poll_stop prepare_stop print_active_handles
  print_all_handles process_get_pid process_kill read_stop recv_buffer_size ref
  req_get_type resident_set_memory run send_buffer_size set_process_title setgid setuid
  signal_stop sleep socketpair stop stream_get_write_queue_size stream_set_blocking
  tcp_bind tcp_getpeername tcp_getsockname tcp_keepalive tcp_nodelay tcp_open
  tcp_simultaneous_accepts tcp_write_queue_size thread_equal thread_join thread_self
  timer_again timer_get_due_in timer_get_repeat timer_set_repeat timer_stop
  translate_sys_error try_write try_write2 tty_get_vterm_state tty_get_winsize
  tty_reset_mode tty_set_mode tty_set_vterm_state udp_bind udp_connect
  udp_get_send_queue_count udp_get_send_queue_size udp_getpeername udp_getsockname
  udp_open udp_recv_stop udp_set_broadcast udp_set_membership udp_set_multicast_interface
  udp_set_multicast_loop udp_set_multicast_ttl udp_set_source_membership udp_set_ttl
  udp_try_send unref update_time uptime version version_string walk
]]

-- Of those, the ones that came after luv 1.44.
local NEWER_WITHOUT <const> = [[
  clock_gettime cpumask_size get_available_memory metrics_info new_sem pipe_bind2 sem_post
  sem_trywait sem_wait thread_getaffinity thread_getcpu thread_getpriority thread_setaffinity
  thread_setpriority
]]

-- Functions in the table that came after luv 1.44.
local NEWER <const> = { pipe_connect2 = true }

-- Functions of luv itself: an error of the callback is raised by the call; refused in a job.
local RAISES <const> = { walk = true, run = true }

-- Functions of luv that are in the table and take no callback.
local NO_CALLBACK <const> = { new_thread = true }

-- Functions of uvjobs.uv that luv does not have.
local OURS <const> = { connect = true, serve = true, stdin = true, stdout = true, stderr = true }

-- Functions that make handles, which uvjobs.uv has to know.
local MAKES_HANDLES <const> = "^new_"

local function words(text)
  local set = {}
  for name in text:gmatch "[%w_]+" do set[name] = true end
  return set
end

-- The names in the first column of the table, and how often each is there.
local function documented()
  local text = assert(world.text(DOCUMENT))
  local section = assert(text:match "\n## All of luv's asynchronous functions\n(.-)\n## ")
  local names, rows = {}, 0
  for cell in section:gmatch "\n|([^|]+)|" do
    if cell:find "`" then rows = rows + 1 end
    for name in cell:gmatch "`([%w_]+)`" do names[name] = (names[name] or 0) + 1 end
  end
  assert(rows > 5, "the table was not found")
  return names
end

local function is_function(value)
  return type(value) == "function"
end

local function sorted(list)
  table.sort(list)
  return list
end

describe("the table of luv's asynchronous functions", function()
  after_each(world.check_clean)

  local table_of_docs, without = documented(), words(WITHOUT)
  for name in pairs(NEWER) do
    if not luv[name] then table_of_docs[name] = nil end
  end
  for name in pairs(words(NEWER_WITHOUT)) do
    if luv[name] then without[name] = true end
  end

  it("names only functions that luv has", function()
    local missing = {}
    for name in pairs(table_of_docs) do
      if not is_function(luv[name]) then missing[#missing + 1] = name end
    end
    assert.same({}, sorted(missing))
  end)

  it("names every function once", function()
    local twice = {}
    for name, count in pairs(table_of_docs) do
      if count > 1 then twice[#twice + 1] = name end
    end
    assert.same({}, sorted(twice))
  end)

  it("has all of luv's functions but those that are known to take no callback", function()
    local unknown = {}
    for name, value in pairs(luv) do
      if is_function(value) and not table_of_docs[name] and not without[name] then
        unknown[#unknown + 1] = name
      end
    end
    assert.same({}, sorted(unknown))
  end)

  it("has none of those that are known to take no callback", function()
    local both, gone = {}, {}
    for name in pairs(without) do
      if table_of_docs[name] then both[#both + 1] = name end
      if not is_function(luv[name]) then gone[#gone + 1] = name end
    end
    assert.same({}, sorted(both))
    assert.same({}, sorted(gone), "luv has them no more")
  end)

  it("each of them is another function in uvjobs.uv", function()
    local same = {}
    for name in pairs(table_of_docs) do
      if not is_function(uv[name]) then same[#same + 1] = name .. " is missing" end
      if uv[name] == luv[name] and not NO_CALLBACK[name] then same[#same + 1] = name end
    end
    assert.same({}, sorted(same))
  end)

  it("everything else in uvjobs.uv is luv's own, but what makes handles", function()
    local others = {}
    for name, value in pairs(luv) do
      local ours = table_of_docs[name] or RAISES[name] or name:find(MAKES_HANDLES)
      if not ours and uv[name] ~= value then others[#others + 1] = name end
    end
    for name in pairs(uv) do
      if luv[name] == nil and not OURS[name] then others[#others + 1] = name end
    end
    assert.same({}, sorted(others))
  end)

  it("an error in the callback of walk is the caller's", function()
    local timer <close> = uv.new_timer()
    local problem = {}
    local ok, err = pcall(uv.walk, function() error(problem) end)
    assert.is_false(ok)
    assert.equal(problem, err)
    assert.is_false(timer:is_closing())
  end)

  it("new_thread is luv's own, and its function is no callback", function()
    assert.equal(luv.new_thread, uv.new_thread)
    local thread = uv.new_thread(function() return 1 end)
    assert.is_true(thread:join())
  end)

  if luv.pipe_connect2 then
    it("pipe_connect2 suspends, and says whether it has connected", function()
      local path = os.tmpname()
      os.remove(path)
      uvjobs.run(function()
        local server <close> = uv.new_pipe()
        local client <close> = uv.new_pipe()
        assert.equal("ENOENT", (select(3, client:connect2(path))))
        assert(server:bind(path))
        assert(server:listen(8))
        local other <close> = uv.new_pipe()
        assert.is_true(other:connect2(path, 0))
      end)
    end)
  end

  it("run is refused in a job, where it would block the others", function()
    uvjobs.run(function()
      local ok, err = pcall(uv.run, "nowait")
      assert.is_false(ok)
      assert.matches("'run' cannot be called in a job", err, 1, true)
    end)
    assert.is_boolean(uv.run("nowait"))
  end)

  it("the methods of a handle do the same as the functions", function()
    uvjobs.run(function()
      local timer <close> = uv.new_timer()
      assert.equal(0, uv.timer_start(timer, 0))
      assert.is_true(timer:next())
      assert.equal(0, timer:start(0))
      assert.is_true(timer:next())
      assert.is_nil((uv.close(timer)))
      assert.is_true(timer:is_closing())
    end)
  end)
end)
