rockspec_format = "3.0"
package = "uvjobs-sqlite"
version = "scm-1"

source = {
  url = "git+https://github.com/uvjobs/uvjobs.git",
}

description = {
  summary = "Durable jobs of uvjobs in one file",
  detailed = [[
The module uvjobs.store.sqlite, with which uvjobs.durable keeps tasks in a
database of SQLite.
]],
  homepage = "https://github.com/uvjobs/uvjobs",
  license = "MIT",
}

dependencies = {
  "lua >= 5.4, < 5.6",
  "uvjobs",
}

external_dependencies = {
  SQLITE = { header = "sqlite3.h", library = "sqlite3" },
}

build = {
  type = "builtin",
  modules = {
    ["uvjobs.store.sqlite"] = {
      sources = {
        "src/store/sqlite/database.c",
        "src/store/sqlite/module.c",
        "src/store/sqlite/system.c",
      },
      defines = { "NDEBUG" },
      incdirs = { "src", "$(SQLITE_INCDIR)" },
      libdirs = { "$(SQLITE_LIBDIR)" },
      libraries = { "sqlite3" },
    },
  },
}
