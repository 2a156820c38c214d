rockspec_format = "3.0"
package = "uvjobs"
version = "scm-1"

source = {
  url = "git+https://github.com/uvjobs/uvjobs.git",
}

description = {
  summary = "A job scheduler for Lua on libuv",
  detailed = [[
Runs jobs, each a Lua coroutine, under limits that you set: how many run at
once, how many may wait, how long one may take, how long it gets to clean up.
]],
  homepage = "https://github.com/uvjobs/uvjobs",
  license = "MIT",
}

dependencies = {
  "lua >= 5.4",
}

external_dependencies = {
  LIBUV = { header = "uv.h", library = "uv" },
}

build = {
  type = "builtin",
  modules = {
    ["uvjobs"] = "lua/uvjobs/init.lua",
    ["uvjobs.arguments"] = "lua/uvjobs/arguments.lua",
    ["uvjobs.attach"] = "lua/uvjobs/attach.lua",
    ["uvjobs.cli"] = "lua/uvjobs/cli.lua",
    ["uvjobs.concurrent"] = "lua/uvjobs/concurrent.lua",
    ["uvjobs.coroutine"] = "lua/uvjobs/coroutine.lua",
    ["uvjobs.cqueues"] = "lua/uvjobs/cqueues.lua",
    ["uvjobs.http"] = "lua/uvjobs/http/init.lua",
    ["uvjobs.http.debian"] = "lua/uvjobs/http/debian.lua",
    ["uvjobs.http.disconnect"] = "lua/uvjobs/http/disconnect.lua",
    ["uvjobs.http.patches"] = "lua/uvjobs/http/patches.lua",
    ["uvjobs.http.records"] = "lua/uvjobs/http/records.lua",
    ["uvjobs.http.request"] = "lua/uvjobs/http/request.lua",
    ["uvjobs.http.response"] = "lua/uvjobs/http/response.lua",
    ["uvjobs.http.server"] = "lua/uvjobs/http/server.lua",
    ["uvjobs.exec"] = "lua/uvjobs/exec.lua",
    ["uvjobs.luv_loading"] = "lua/uvjobs/luv_loading.lua",
    ["uvjobs.testing"] = "lua/uvjobs/testing.lua",
    ["uvjobs.uv"] = "lua/uvjobs/uv/init.lua",
    ["uvjobs.uv.calls"] = "lua/uvjobs/uv/calls.lua",
    ["uvjobs.uv.errors"] = "lua/uvjobs/uv/errors.lua",
    ["uvjobs.uv.events"] = "lua/uvjobs/uv/events.lua",
    ["uvjobs.uv.handles"] = "lua/uvjobs/uv/handles.lua",
    ["uvjobs.uv.streams"] = "lua/uvjobs/uv/streams.lua",
    ["uvjobs.core"] = {
      sources = {
        "src/core/job.c",
        "src/core/loop.c",
        "src/core/mutex.c",
        "src/core/queue.c",
        "src/core/sched.c",
        "src/core/shuffle.c",
        "src/core/timers.c",
        "src/core/waitq.c",
        "src/loop/driver.c",
        "src/loop/monitor.c",
        "src/loop/stack.c",
        "src/loop/task.c",
        "src/lua/api/await.c",
        "src/lua/api/closing.c",
        "src/lua/api/coroutine.c",
        "src/lua/api/event.c",
        "src/lua/api/job.c",
        "src/lua/api/mutex.c",
        "src/lua/api/nursery.c",
        "src/lua/api/permit.c",
        "src/lua/api/queue.c",
        "src/lua/api/scheduler.c",
        "src/lua/api/scope.c",
        "src/lua/api/semaphore.c",
        "src/lua/api/spawn.c",
        "src/lua/api/stats.c",
        "src/lua/api/testing.c",
        "src/lua/api/work.c",
        "src/lua/api/worker.c",
        "src/lua/base/alloc.c",
        "src/lua/base/allocator.c",
        "src/lua/base/args.c",
        "src/lua/base/copy.c",
        "src/lua/base/hub.c",
        "src/lua/base/object.c",
        "src/lua/base/slots.c",
        "src/lua/drive/cqueues.c",
        "src/lua/drive/embed.c",
        "src/lua/drive/luv.c",
        "src/lua/drive/options.c",
        "src/lua/drive/run.c",
        "src/lua/drive/stuck.c",
        "src/lua/drive/turn.c",
        "src/lua/engine/hookerror.c",
        "src/lua/engine/interrupt.c",
        "src/lua/engine/kill.c",
        "src/lua/engine/pool.c",
        "src/lua/engine/report.c",
        "src/lua/engine/suspend.c",
        "src/lua/engine/traceback.c",
        "src/lua/engine/unwind.c",
        "src/lua/host.c",
        "src/lua/lifetime.c",
        "src/lua/module.c",
        "src/lua/state/context.c",
        "src/lua/state/error.c",
        "src/lua/state/job.c",
        "src/lua/state/outcome.c",
        "src/lua/state/sched.c",
        "src/lua/state/state.c",
        "src/memory/heap.c",
        "src/memory/pages.c",
      },
      defines = { "NDEBUG" },
      incdirs = { "src", "$(LIBUV_INCDIR)" },
      libdirs = { "$(LIBUV_LIBDIR)" },
      libraries = { "uv", "pthread" },
    },
  },
  install = {
    bin = { uvjobs = "bin/uvjobs" },
  },
}
