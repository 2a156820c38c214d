/* The Lua state in the thread of a service. */
#ifndef UJ_LUA_RESIDENT_H
#define UJ_LUA_RESIDENT_H

#include <lua.h>
#include <stdint.h>

struct uj_message;
struct uj_resident;
struct uj_service;

/* Returns NULL without memory. */
struct uj_resident *uj_resident_new(void);
void uj_resident_free(struct uj_resident *self); /* may be NULL */

/* [-0, +0, m] Gives it, before it runs, the name of a module and an argument,
 * which are at these indices, and the paths of modules. */
void uj_resident_give(struct uj_resident *self, lua_State *L, int module,
                      int argument);

/* What the thread runs; `resident` is the struct uj_resident. */
void uj_resident_run(struct uj_service *service, void *resident);

/* The service whose mailbox is at idx, which its thread was given; raises when
 * it is something else. */
struct uj_service *uj_resident_mailbox(lua_State *L, int idx);

/* [-0, +0, m] Packs the value at idx. */
struct uj_message *uj_resident_pack(lua_State *L, uint64_t id, int idx);

#endif
