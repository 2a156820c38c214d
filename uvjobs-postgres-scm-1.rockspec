rockspec_format = "3.0"
package = "uvjobs-postgres"
version = "scm-1"

source = {
  url = "git+https://github.com/uvjobs/uvjobs.git",
}

description = {
  summary = "Durable jobs of uvjobs in PostgreSQL",
  detailed = [[
The module uvjobs.store.postgres, with which uvjobs.durable keeps tasks in a
database of PostgreSQL, for many machines.
]],
  homepage = "https://github.com/uvjobs/uvjobs",
  license = "MIT",
}

dependencies = {
  "lua >= 5.4, < 5.6",
  "uvjobs",
}

external_dependencies = {
  PQ = { header = "libpq-fe.h", library = "pq" },
}

build = {
  type = "builtin",
  modules = {
    ["uvjobs.store.postgres"] = {
      sources = {
        "src/store/postgres/connection.c",
        "src/store/postgres/module.c",
        "src/store/postgres/result.c",
        "src/store/postgres/system.c",
      },
      defines = { "NDEBUG" },
      incdirs = { "src", "$(PQ_INCDIR)" },
      libdirs = { "$(PQ_LIBDIR)" },
      libraries = { "pq" },
    },
  },
}
