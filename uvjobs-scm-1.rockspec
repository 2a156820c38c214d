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
    ["uvjobs.attach"] = "lua/uvjobs/attach.lua",
    ["uvjobs.cli"] = "lua/uvjobs/cli.lua",
    ["uvjobs.concurrent"] = "lua/uvjobs/concurrent.lua",
    ["uvjobs.coroutine"] = "lua/uvjobs/coroutine.lua",
    ["uvjobs.cqueues"] = "lua/uvjobs/cqueues.lua",
    ["uvjobs.http"] = "lua/uvjobs/http.lua",
    ["uvjobs.exec"] = "lua/uvjobs/exec.lua",
    ["uvjobs.options"] = "lua/uvjobs/options.lua",
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
        "src/lua/args.c",
        "src/lua/await.c",
        "src/lua/context.c",
        "src/lua/copy.c",
        "src/lua/coroutine.c",
        "src/lua/cq.c",
        "src/lua/embed.c",
        "src/lua/error.c",
        "src/lua/event.c",
        "src/lua/hookerror.c",
        "src/lua/host.c",
        "src/lua/interrupt.c",
        "src/lua/job.c",
        "src/lua/kill.c",
        "src/lua/lock.c",
        "src/lua/luv.c",
        "src/lua/memory.c",
        "src/lua/module.c",
        "src/lua/object.c",
        "src/lua/pool.c",
        "src/lua/queue.c",
        "src/lua/report.c",
        "src/lua/run.c",
        "src/lua/runopts.c",
        "src/lua/sched.c",
        "src/lua/scope.c",
        "src/lua/slots.c",
        "src/lua/state.c",
        "src/lua/stats.c",
        "src/lua/stuck.c",
        "src/lua/suspend.c",
        "src/lua/testing.c",
        "src/lua/unwind.c",
        "src/lua/work.c",
        "src/lua/worker.c",
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
