#include "lua/insight/copied.h"

#include <sys/stat.h>
#include <unistd.h>

#include "inspect/copy.h"
#include "lua/engine/inspecting.h"
#include "lua/state/state.h"

#define COPIED_TYPE "uvjobs.Copied"

struct copied {
  pid_t copy; /* 0: there is none, or none any more */
  pid_t maker;
  int fd; /* of the file for the text, which has no name; -1 for none */
};

/* ---- in the copy --------------------------------------------------------- */

/* Nothing is collected, so no finalizer runs, and what was allocated by the
 * process stays as it is. Stack: fn. */
_Noreturn static void tell(lua_State *L, int fd)
{
  const char *text = NULL;
  size_t n = 0;
  lua_gc(L, LUA_GCSTOP);
  lua_setallocf(L, uj_copy_alloc, NULL);
  lua_pushvalue(L, 1);
  if (lua_pcall(L, 0, 1, 0) == LUA_OK)
    text = lua_tolstring(L, -1, &n);
  uj_copy_end(text != NULL && uj_copy_write(fd, text, n));
}

/* ---- in the process ------------------------------------------------------ */

static void close_file(struct copied *self)
{
  if (self->fd >= 0)
    close(self->fd);
  self->fd = -1;
}

/* Its __close, and its __gc. The child of a fork has no copy. */
static int copied_close(lua_State *L)
{
  struct copied *self = lua_touserdata(L, 1);
  if (self->copy > 0 && self->maker == getpid())
    uj_copy_kill(self->copy);
  self->copy = 0;
  close_file(self);
  return 0;
}

/* [-0, +1, m] */
static struct copied *push_copied(lua_State *L)
{
  struct copied *self = lua_newuserdatauv(L, sizeof(*self), 0);
  *self = (struct copied){.maker = getpid(), .fd = -1};
  luaL_setmetatable(L, COPIED_TYPE);
  return self;
}

static int l_copy(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  struct copied *self;
  pid_t copy;
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_settop(L, 1);
  if (S->inspecting->options.off)
    return 0;
  self = push_copied(L);
  self->fd = uj_copy_open_file();
  if (self->fd < 0)
    return 0;
  copy = uj_copy_make(self->fd);
  if (copy == 0)
    tell(L, self->fd);
  if (copy > 0)
    self->copy = copy;
  return copy > 0 ? 1 : 0;
}

/* [-0, +1, m] Pushes what the file has, or false when it cannot be read. */
static void push_file(lua_State *L, int fd)
{
  struct stat file;
  size_t size, n = 0;
  luaL_Buffer b;
  char *text;
  if (fstat(fd, &file) != 0) {
    lua_pushboolean(L, 0);
    return;
  }
  size = (size_t)file.st_size;
  text = luaL_buffinitsize(L, &b, size);
  while (n < size) {
    ssize_t some = pread(fd, text + n, size - n, (off_t)n);
    if (some <= 0)
      break;
    n += (size_t)some;
  }
  luaL_pushresultsize(&b, n);
}

static int l_copied(lua_State *L)
{
  struct copied *self = luaL_checkudata(L, 1, COPIED_TYPE);
  enum uj_copy_end end = self->copy > 0 && self->maker == getpid()
                             ? uj_copy_look(self->copy)
                             : UJ_COPY_BAD;
  if (end == UJ_COPY_RUNS)
    return 0;
  self->copy = 0;
  if (end == UJ_COPY_GOOD)
    push_file(L, self->fd);
  else
    lua_pushboolean(L, 0);
  close_file(self);
  return 1;
}

void uj_copied_register(lua_State *L)
{
  static const luaL_Reg meta[] = {
      {"__close", copied_close}, {"__gc", copied_close}, {NULL, NULL}};
  luaL_newmetatable(L, COPIED_TYPE);
  luaL_setfuncs(L, meta, 0);
  lua_pop(L, 1);
}

const luaL_Reg uj_copied_internals[] = {
    {"copy", l_copy}, {"copied", l_copied}, {NULL, NULL}};
