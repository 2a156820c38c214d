/* The errors that uvjobs raises: userdata with the fields `code`, `message`
 * and, when the error concerns one, `job`. tostring() returns the message,
 * which is made anew each time instead of being kept; only errors that modules
 * in Lua make have a text of their own. */
#ifndef UJ_LUA_ERROR_H
#define UJ_LUA_ERROR_H

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>

struct uj_state;

enum uj_code {
  UJ_CODE_CANCELLED,
  UJ_CODE_TIMEOUT,
  UJ_CODE_KILLED,
  UJ_CODE_CLOSED,
  UJ_CODE_FULL,
  /* The following are raised by modules in Lua only. */
  UJ_CODE_OPEN,
  UJ_CODE_LIMITED,
  UJ_CODE_INTENSITY,
  UJ_CODE_LOST,
  UJ_CODE_UNAVAILABLE,
  UJ_CODE_CORRUPT,
  UJ_CODE_MEMORY
};

/* [-1, +1, m] Replaces the job (or nil) on the top by an error about it. */
void uj_error_new(lua_State *L, enum uj_code code);

/* Raises an error about the job on the top, or about none when it is nil. */
int uj_error_raise(lua_State *L, enum uj_code code);

/* [-0, +0, -] Whether the value at idx is an error with this code about this
 * job. */
bool uj_error_is(lua_State *L, int idx, enum uj_code code, const void *job);

/* [-0, +0, -] Records in the error at idx the signal because of which the job
 * was cancelled. */
void uj_error_set_signal(lua_State *L, int idx, int signal);

/* [-0, +0, m] Registers the metatable. */
void uj_error_register(lua_State *L);

/* uvjobs.code(value) */
extern const luaL_Reg uj_error_functions[];

/* annotate(error, text): adds the text to the message of the error.
 *
 * make_error(code, text [, retry_after [, cause]]): an error that is about no
 * job, with this message; `retry_after` is in seconds. For modules in Lua,
 * which raise it by error(err, 0).
 *
 * set_stored(error, value): sets its property `stored`; any error has it.
 *
 * codes(): lists all, for the specs, which compare them with the reference. */
extern const luaL_Reg uj_error_internals[];

#endif
