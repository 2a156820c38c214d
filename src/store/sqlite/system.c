#define _GNU_SOURCE
#include "store/sqlite/system.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#ifdef __linux__
#include <sys/inotify.h>
#include <sys/vfs.h>
#endif

#define LOCKS_TYPE "uvjobs.sqlite.Locks"
#define NOTICES_TYPE "uvjobs.sqlite.Notices"

/* Both types are an open file. */
struct file {
  int fd; /* -1 when closed */
};

/* ---- clocks -------------------------------------------------------------- */

static int64_t microseconds(clockid_t clock)
{
  struct timespec now;
  clock_gettime(clock, &now);
  return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int l_date(lua_State *L)
{
  lua_pushinteger(L, microseconds(CLOCK_REALTIME));
  return 1;
}

/* A container can have a clock that is shifted; what is compared with other
 * processes must not be. */
static int64_t shift_of_namespace(void)
{
  int64_t shift = 0;
#ifdef __linux__
  FILE *file = fopen("/proc/self/timens_offsets", "re");
  static const char clock[] = "monotonic ";
  const size_t length = sizeof(clock) - 1;
  char line[128], *rest;
  if (file == NULL)
    return 0;
  while (fgets(line, sizeof(line), file) != NULL)
    if (strncmp(line, clock, length) == 0) {
      shift = strtoll(line + length, &rest, 10) * 1000000;
      shift += strtoll(rest, NULL, 10) / 1000;
    }
  fclose(file);
#endif
  return shift;
}

static int l_monotonic(lua_State *L)
{
  static _Thread_local int64_t shift;
  static _Thread_local bool is_known;
  if (!is_known) {
    shift = shift_of_namespace();
    is_known = true;
  }
  lua_pushinteger(L, microseconds(CLOCK_MONOTONIC) - shift);
  return 1;
}

static int l_boot(lua_State *L)
{
  char text[64] = "unknown";
  FILE *file = fopen("/proc/sys/kernel/random/boot_id", "r");
  if (file != NULL) {
    if (fgets(text, sizeof(text), file) == NULL)
      text[0] = '\0';
    fclose(file);
  }
  text[strcspn(text, "\n")] = '\0';
  lua_pushstring(L, text);
  return 1;
}

static int l_pid(lua_State *L)
{
  lua_pushinteger(L, getpid());
  return 1;
}

/* ---- files --------------------------------------------------------------- */

static int l_file(lua_State *L)
{
  struct stat found;
  if (stat(luaL_checkstring(L, 1), &found) != 0)
    return 0;
  lua_pushinteger(L, (lua_Integer)found.st_dev);
  lua_pushinteger(L, (lua_Integer)found.st_ino);
  return 2;
}

static int l_size(lua_State *L)
{
  struct stat found;
  bool is_there = stat(luaL_checkstring(L, 1), &found) == 0;
  lua_pushinteger(L, is_there ? (lua_Integer)found.st_size : 0);
  return 1;
}

/* The numbers are those of statfs(2). */
static int l_filesystem(lua_State *L)
{
#ifdef __linux__
  static const struct {
    unsigned long number;
    const char *name;
  } known[] = {{0x6969, "NFS"},
               {0xFF534D42, "CIFS"},
               {0xFE534D42, "SMB"},
               {0x517B, "SMB"},
               {0x01021997, "9p"}};
  struct statfs found;
  if (statfs(luaL_checkstring(L, 1), &found) == 0)
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
      if (((unsigned long)found.f_type & 0xFFFFFFFFUL) == known[i].number) {
        lua_pushstring(L, known[i].name);
        return 1;
      }
#endif
  lua_pushnil(L);
  return 1;
}

/* ---- locks --------------------------------------------------------------- */

/* A lock of an open file, not of a process: so closing another descriptor of
 * the same file does not drop it, and two stores of one process have their
 * own. */
#ifdef F_OFD_SETLK
enum { SET_LOCK = F_OFD_SETLK, GET_LOCK = F_OFD_GETLK };
#else
enum { SET_LOCK = F_SETLK, GET_LOCK = F_GETLK };
#endif

static struct file *check_file(lua_State *L, const char *type)
{
  struct file *self = luaL_checkudata(L, 1, type);
  if (self->fd < 0)
    luaL_error(L, "the file is closed");
  return self;
}

static struct flock lock_of(lua_State *L, short type)
{
  struct flock lock = {0};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = (off_t)luaL_checkinteger(L, 2);
  lock.l_len = 1;
  return lock;
}

static int raise(lua_State *L, const char *what, int error)
{
  lua_createtable(L, 0, 2);
  lua_pushliteral(L, "unavailable");
  lua_setfield(L, -2, "code");
  lua_pushfstring(L, "%s: %s", what, strerror(error));
  lua_setfield(L, -2, "message");
  return lua_error(L);
}

static int locks_take(lua_State *L)
{
  const struct file *self = check_file(L, LOCKS_TYPE);
  struct flock lock = lock_of(L, F_WRLCK);
  int result = fcntl(self->fd, SET_LOCK, &lock);
  if (result != 0 && errno != EAGAIN && errno != EACCES)
    return raise(L, "cannot lock", errno);
  lua_pushboolean(L, result == 0);
  return 1;
}

static int locks_release(lua_State *L)
{
  const struct file *self = check_file(L, LOCKS_TYPE);
  struct flock lock = lock_of(L, F_UNLCK);
  (void)fcntl(self->fd, SET_LOCK, &lock);
  return 0;
}

static int locks_is_held(lua_State *L)
{
  const struct file *self = check_file(L, LOCKS_TYPE);
  struct flock lock = lock_of(L, F_WRLCK);
  if (fcntl(self->fd, GET_LOCK, &lock) != 0)
    return raise(L, "cannot look at a lock", errno);
  lua_pushboolean(L, lock.l_type != F_UNLCK);
  return 1;
}

/* Whoever watches the file wakes up. What is written means nothing. */
static int locks_touch(lua_State *L)
{
  const struct file *self = check_file(L, LOCKS_TYPE);
  lua_pushboolean(L, pwrite(self->fd, "", 1, 0) == 1);
  return 1;
}

static struct file *push_file(lua_State *L, const char *type)
{
  struct file *self = lua_newuserdatauv(L, sizeof(*self), 0);
  self->fd = -1;
  luaL_setmetatable(L, type);
  return self;
}

static int l_locks(lua_State *L)
{
  const char *path = luaL_checkstring(L, 1);
  struct file *self = push_file(L, LOCKS_TYPE);
  self->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  return self->fd < 0 ? raise(L, path, errno) : 1;
}

static int file_close(lua_State *L)
{
  struct file *self = lua_touserdata(L, 1);
  if (self != NULL && self->fd >= 0)
    close(self->fd);
  if (self != NULL)
    self->fd = -1;
  return 0;
}

/* ---- notices ------------------------------------------------------------- */

static int notices_fd(lua_State *L)
{
  lua_pushinteger(L, check_file(L, NOTICES_TYPE)->fd);
  return 1;
}

/* Returns whether there was anything. */
static int notices_clear(lua_State *L)
{
  const struct file *self = check_file(L, NOTICES_TYPE);
  char bytes[4096];
  bool has_any = false;
  while (read(self->fd, bytes, sizeof(bytes)) > 0)
    has_any = true;
  lua_pushboolean(L, has_any);
  return 1;
}

/* (path, path): something is written into one of two files. */
static int l_notices(lua_State *L)
{
#ifdef __linux__
  const char *first = luaL_checkstring(L, 1), *second = luaL_checkstring(L, 2);
  struct file *self = push_file(L, NOTICES_TYPE);
  self->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (self->fd >= 0 && inotify_add_watch(self->fd, first, IN_MODIFY) >= 0 &&
      inotify_add_watch(self->fd, second, IN_MODIFY) >= 0)
    return 1;
#endif
  lua_pushnil(L);
  return 1;
}

/* ---- the module ---------------------------------------------------------- */

static void register_type(lua_State *L, const char *name,
                          const luaL_Reg *methods)
{
  luaL_newmetatable(L, name);
  lua_newtable(L);
  luaL_setfuncs(L, methods, 0);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, file_close);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
}

void uj_system_register(lua_State *L)
{
  static const luaL_Reg of_locks[] = {
      {"take", locks_take},       {"release", locks_release},
      {"is_held", locks_is_held}, {"touch", locks_touch},
      {"close", file_close},      {NULL, NULL}};
  static const luaL_Reg of_notices[] = {{"fd", notices_fd},
                                        {"clear", notices_clear},
                                        {"close", file_close},
                                        {NULL, NULL}};
  register_type(L, LOCKS_TYPE, of_locks);
  register_type(L, NOTICES_TYPE, of_notices);
}

const luaL_Reg uj_system_functions[] = {
    {"date", l_date},       {"monotonic", l_monotonic},
    {"boot", l_boot},       {"pid", l_pid},
    {"file", l_file},       {"size", l_size},
    {"locks", l_locks},     {"filesystem", l_filesystem},
    {"notices", l_notices}, {NULL, NULL}};
