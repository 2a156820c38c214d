/* Checks of what users pass. Every message names the function, the argument
 * (counted without self), what was expected and what came. */
#ifndef UJ_LUA_ARGS_H
#define UJ_LUA_ARGS_H

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

/* The function whose arguments are checked. */
struct uj_callee {
  const char *name;
  int self; /* 1 for a method, whose self is at index 1; otherwise 0 */
};

/* The type as people call it: with the name of a userdata's metatable. */
const char *uj_arg_typename(lua_State *L, int idx);

/* The functions that are _Noreturn have a result so that a C function can say
 * `return uj_arg_error(...)`, as it does with lua_error(). */

/* Raises "bad argument #n to 'name' (message)". */
_Noreturn int uj_arg_error(lua_State *L, const struct uj_callee *callee,
                           int idx, const char *message);
/* Raises "... (expected expected, got type)". */
_Noreturn int uj_arg_typeerror(lua_State *L, const struct uj_callee *callee,
                               int idx, const char *expected);
/* Raises "bad self to 'name' (type expected, got other)". */
_Noreturn int uj_arg_selferror(lua_State *L, const char *name,
                               const char *type);

void uj_arg_function(lua_State *L, const struct uj_callee *callee, int idx);

/* [-0, +1, m] Pushes what a wrong value looks like in a message. */
const char *uj_arg_push_got(lua_State *L, int idx);

/* How long something may take at most, in seconds, as nanoseconds, rounded up:
 * not negative; math.huge is UJ_NEVER. */
uint64_t uj_arg_seconds(lua_State *L, const struct uj_callee *callee, int idx);
/* The same; `absent_ns` for nil or no value. Inline, because most calls that
 * wait are made without a limit. */
static inline uint64_t uj_arg_opt_seconds(lua_State *L,
                                          const struct uj_callee *callee,
                                          int idx, uint64_t absent_ns)
{
  if (lua_gettop(L) < idx || lua_isnil(L, idx))
    return absent_ns;
  return uj_arg_seconds(L, callee, idx);
}

/* How long something takes, which must be finite besides. */
uint64_t uj_arg_finite_seconds(lua_State *L, const struct uj_callee *callee,
                               int idx);

/* [-0, +(0|n), m] Pushes what is wrong with a value that should be a finite
 * duration, and returns it; or NULL when the value is one. */
const char *uj_arg_push_wrong_seconds(lua_State *L, int idx);

/* An integer >= min, or math.huge: UINT64_MAX. */
uint64_t uj_arg_count(lua_State *L, const struct uj_callee *callee, int idx,
                      lua_Integer min);
/* The same, without an error: returns NULL, or what was expected. */
const char *uj_arg_read_count(lua_State *L, int idx, lua_Integer min,
                              uint64_t *count);
/* [-0, +1, -] Pushes what uj_arg_count() reads. */
void uj_arg_push_count(lua_State *L, uint64_t count);

#endif
