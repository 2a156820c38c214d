# shellcheck shell=bash
# Functions shared by the scripts beside this file. They set `root` (the tree),
# and after uj_find_lua `LUA` (an interpreter, of Lua 5.4 unless 5.5 was chosen)
# and `lua_version` (5.4 or 5.5).

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# One need in a line: a Debian package, and a command that succeeds when what the
# package gives is there.
uj_build_needs='
cmake|command -v cmake
ninja-build|command -v ninja
gcc|command -v gcc
libc6-dev|test -e /usr/include/stdio.h
pkg-config|command -v pkg-config
lua5.4|uj_find_lua
liblua5.4-dev|uj_have_lua_headers
libuv1-dev|pkg-config --exists libuv
libsqlite3-dev|pkg-config --exists sqlite3
libpq-dev|pkg-config --exists libpq
lua-luv|uj_have_module luv
gzip|command -v gzip
'
# A server for the specs of the store in PostgreSQL.
uj_postgres_needs='
postgresql|uj_postgres_bin
pgbouncer|test -x /usr/sbin/pgbouncer
'
# shellcheck disable=SC2034
uj_test_needs="$uj_build_needs$uj_postgres_needs
lua-busted|uj_have_module busted.runner
lua-sql-sqlite3|uj_have_module luasql.sqlite3
lua-cqueues|uj_have_module cqueues
lua-http|uj_have_lua_http
curl|command -v curl
bsdutils|command -v script
python3|command -v python3
tzdata|test -e /usr/share/zoneinfo/tzdata.zi
openssl|command -v openssl
luarocks|command -v luarocks
lua-check|command -v luacheck
clang-format|command -v clang-format
clang|command -v clang
valgrind|command -v valgrind
strace|command -v strace
tmux|command -v tmux
prometheus|command -v promtool
"

uj_fail() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

# What the caller has chosen; empty for what is found:
#   LUA              the interpreter
#   LUA_INCDIR       where its lua.h is; by default pkg-config knows, which looks
#                    into PKG_CONFIG_PATH first
#   LUA_LIBDIR       with that, where its library is
# libuv is that of pkg-config; modules such as luv are those that LUA_PATH_5_4
# and LUA_CPATH_5_4 find, or LUA_PATH_5_5 and LUA_CPATH_5_5.
uj_chosen_lua=${LUA:-}

# Sets LUA to the one that was chosen, or to the first Lua 5.4 there is; `lua`
# alone may be another version.
uj_find_lua() {
  local name
  for name in ${uj_chosen_lua:-lua5.4 lua54 lua}; do
    LUA=$(command -v "$name") || continue
    lua_version=$("$LUA" -e 'print(_VERSION:sub(5))' 2>/dev/null) || continue
    case $lua_version in
    5.4) return 0 ;;
    5.5) [ -z "$uj_chosen_lua" ] || return 0 ;;
    esac
  done
  LUA=
  return 1
}

# The release of a Lua module by an expression, or "none".
uj_release_of() {
  "$LUA" -e "local ok, m = pcall(require, '$1') print(ok and $2 or 'none')" 2>/dev/null
}

# What the builds and tests use, one a line: a name, a tab, a release.
uj_print_used() {
  local system
  system=$(. /etc/os-release 2>/dev/null && printf '%s %s' "$NAME" "${VERSION_ID:-}" || uname -s)
  printf 'system\t%s, %s\n' "$system" "$(uname -m)"
  printf 'Lua\t%s\n' "$("$LUA" -v 2>&1 | sed -E 's/^Lua ([0-9.]+).*/\1/')"
  printf 'interpreter\t%s\n' "$LUA"
  printf 'libuv\t%s\n' "$(pkg-config --modversion libuv)"
  printf 'luv\t%s\n' "$(uj_release_of luv 'm.version_string()' | sed 's/^/with libuv /')"
  printf 'cqueues\t%s\n' "$(uj_release_of cqueues 'm.VERSION')"
  printf 'compiler\t%s\n' "$(${CC:-cc} --version | head -n 1)"
}

uj_have_module() {
  [ -n "${LUA:-}" ] &&
    "$LUA" -e 'os.exit(package.searchpath(arg[1], package.path) ~= nil
      or package.searchpath(arg[1], package.cpath) ~= nil)' /dev/null "$1"
}

# Prints where the programs of a server are, which Debian keeps out of PATH.
uj_postgres_bin() {
  local place
  for place in /usr/lib/postgresql/*/bin /usr/local/bin /usr/bin; do
    [ ! -x "$place/initdb" ] || { printf '%s\n' "$place" && return 0; }
  done
  return 1
}

# Debian keeps lua-http under the paths of older versions only.
uj_have_lua_http() {
  uj_have_module http.server || [ -e /usr/share/lua/5.3/http/server.lua ]
}

uj_have_lua_headers() {
  local name
  [ -z "${LUA_INCDIR:-}" ] || { [ -e "$LUA_INCDIR/lua.h" ] && return 0 || return 1; }
  for name in lua5.4 lua-5.4 lua54 'lua >= 5.4'; do
    pkg-config --exists "$name" && return 0
  done
  return 1
}

# The packages of the list $1 whose probe fails, one a line.
uj_missing() {
  local package probe
  while IFS='|' read -r package probe; do
    if [ -n "$package" ] && ! $probe >/dev/null 2>&1; then
      printf '%s\n' "$package"
    fi
  done <<<"$1"
}

# Runs apt-get as root, if there is a way to be root.
uj_apt_get() {
  if [ "$(id -u)" -eq 0 ]; then
    DEBIAN_FRONTEND=noninteractive apt-get "$@"
  else
    sudo env DEBIAN_FRONTEND=noninteractive apt-get "$@"
  fi
}

uj_can_install() {
  command -v apt-get >/dev/null &&
    { [ "$(id -u)" -eq 0 ] || command -v sudo >/dev/null; }
}

# Installs what the list $1 says and is not there. Fast when nothing is missing.
uj_install() {
  local missing
  uj_find_lua || true
  missing=$(uj_missing "$1" | tr '\n' ' ')
  if [ -z "$missing" ]; then
    return 0
  fi
  if ! uj_can_install; then
    uj_fail "these are missing (names of Debian packages): $missing
Install them, or what your system has in their place: a C11 compiler, CMake
>= 3.21, Ninja, pkg-config, Lua >= 5.4.4 and libuv >= 1.42 with their headers, luv,
libpq and SQLite with theirs,
and for the tests busted, luacheck, luarocks, cqueues, lua-http, curl, openssl,
Python 3.9, tzdata with zic, clang, clang-format,
valgrind, promtool of Prometheus, strace, tmux, PostgreSQL. (Chromium is used where it is.)"
  fi
  printf 'installing: %s\n' "$missing" >&2
  # The names are to be split into words.
  # shellcheck disable=SC2086
  uj_quietly uj_apt_get update
  # shellcheck disable=SC2086
  uj_quietly uj_apt_get install -y --no-install-recommends $missing
  uj_find_lua || uj_fail "Lua 5.4 is still missing"
  missing=$(uj_missing "$1" | tr '\n' ' ')
  [ -z "$missing" ] || uj_fail "still missing after the installation: $missing"
}

# Runs a command and shows what it printed only if it fails.
uj_quietly() {
  local log status=0
  log=$(mktemp)
  "$@" >"$log" 2>&1 </dev/null || status=$?
  if [ "$status" -ne 0 ]; then
    cat "$log" >&2
    printf '%s: failed with status %d: %s\n' "${0##*/}" "$status" "$*" >&2
  fi
  rm -f "$log"
  return "$status"
}

# Configures (when needed) and builds the preset $1, or of it the targets that
# are named after it. Another choice of Lua or libuv needs a new build.
uj_build() {
  local dir=$root/build/$1 chosen
  chosen="${CC:-} ${LUA_INCDIR:-} ${LUA_LIBDIR:-} ${PKG_CONFIG_PATH:-}"
  [ "$(cat "$dir/chosen" 2>/dev/null || true)" = "$chosen" ] ||
    { [ -z "${chosen// /}" ] && [ ! -e "$dir/chosen" ]; } || rm -rf "$dir"
  if [ ! -e "$dir/build.ninja" ] ||
    [ "$root/CMakePresets.json" -nt "$dir/build.ninja" ]; then
    uj_quietly cmake -S "$root" --preset "$1" \
      "-DUVJOBS_LUA_INCDIR=${LUA_INCDIR:-}" "-DUVJOBS_LUA_LIBDIR=${LUA_LIBDIR:-}" || return
    printf '%s\n' "$chosen" >"$dir/chosen"
  fi
  shift
  uj_quietly cmake --build "$dir" ${1:+--target "$@"}
}

# The compiler's warnings that the preset release is built with, one a line.
uj_warnings() {
  tr ' ' '\n' <"$root/build/release/compile_commands.json" |
    grep -E '^-W[a-z]' | grep -v '^-W[lap],' | sort -u
}

# Installs the rock into the directory $1, which is emptied before, as luarocks
# builds it: without link-time optimisation. A warning is an error.
uj_build_rock() {
  local copy status=0
  copy=$(mktemp -d)
  # luarocks leaves its objects beside the code: so it gets a copy.
  cp -R "$root"/*.rockspec "$root/src" "$root/lua" "$root/bin" \
    "$root/completions" "$root/docs" "$root/library" "$root/man" "$copy"
  rm -rf "$1"
  uj_quietly env -C "$copy" luarocks --lua-version "$lua_version" make --tree "$1" \
    CFLAGS="-O2 -fPIC $(uj_warnings | tr '\n' ' ')" uvjobs-scm-1.rockspec || status=$?
  rm -rf "$copy"
  return "$status"
}

# Sets the array tree_env to what `env` needs so that Lua finds the modules of
# the tree, the C part from the preset $1. The versioned variables win over the
# plain ones and leave other Luas alone.
uj_tree_env() {
  local path=LUA_PATH_${lua_version/./_} cpath=LUA_CPATH_${lua_version/./_}
  # Used by the scripts that read this file.
  # shellcheck disable=SC2034
  tree_env=(
    "$path=$root/lua/?.lua;$root/lua/?/init.lua;${!path:-${LUA_PATH:-;}}"
    "$cpath=$root/build/$1/?.so;${!cpath:-${LUA_CPATH:-;}}"
  )
}

# Sets asan_env to what `env` needs for programs that are built with ASan, and
# asan_lua_env to that for a Lua that is not, and loads a module that is.
# The stacks in which ASan looks for uses after a return have the least size
# that there is: it searches all of them after each longjmp, and so at each
# suspension of a job, which would take ten times as long with stacks of 1 MiB.
uj_asan_env() {
  local uar=detect_stack_use_after_return=1:max_uar_stack_size_log=16
  asan_env=(
    "ASAN_OPTIONS=detect_leaks=1:$uar"
    UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
    "LSAN_OPTIONS=suppressions=$root/script/lsan.supp:print_suppressions=0"
  )
  # Used by the scripts that read this file.
  # shellcheck disable=SC2034
  asan_lua_env=("${asan_env[@]}" LD_PRELOAD="$(gcc -print-file-name=libasan.so)")
}

# The parts of spec/ that have specs, one a line: busted runs each of them in a
# process of its own.
uj_spec_parts() {
  find spec -name '*_spec.lua' | cut -d / -f 1-2 | sort -u
}
