/* Permits: `uvjobs.Permit`, a permit of a semaphore or the lock of a mutex that
 * is given back when the variable which holds it goes out of scope. */
#ifndef UJ_LUA_PERMIT_H
#define UJ_LUA_PERMIT_H

#include <lua.h>
#include <stdbool.h>

#include "core/mutex.h"
#include "core/semaphore.h"

/* [-n, +2, m] Replaces the arguments of a method by self and a permit that is
 * not yet held. A permit is made before it is waited for, so that nothing that
 * can fail is left to do when it was got. */
void uj_permit_push_of_semaphore(lua_State *L, struct uj_semaphore *semaphore);
void uj_permit_push_of_mutex(lua_State *L, struct uj_mutex *mutex);

/* [-0, +0, -] The permit on the top was got: it is held from now on. Returns 1,
 * to be returned by the method. */
int uj_permit_got(lua_State *L);
/* The continuation of a method that waits for its permit; returns the permit,
 * or nil and "timeout". Stack: self, permit. */
int uj_permit_waited(lua_State *L, int status, lua_KContext ctx);

/* [-0, +(0|1), -] If the value at idx is a permit that is held, pushes the
 * semaphore or mutex and returns true. */
bool uj_permit_push_held(lua_State *L, int idx);

/* [-0, +0, m] Registers the metatable; the state is on the top. */
void uj_permit_register(lua_State *L);

#endif
