/* The Lua state in the thread of a service. */
#ifndef UJ_LUA_RESIDENT_H
#define UJ_LUA_RESIDENT_H

#include <lua.h>
#include <stddef.h>
#include <stdint.h>

struct uj_member;
struct uj_message;
struct uj_resident;
struct uj_service;
struct uj_state;

/* Returns NULL without memory. */
struct uj_resident *uj_resident_new(void);
void uj_resident_free(struct uj_resident *self); /* may be NULL */

/* Limits the memory of its state to so many bytes, before it runs; 0 for no
 * limit. */
void uj_resident_limit(struct uj_resident *self, size_t limit);

/* [-0, +0, m] Gives it, before it runs, the name of a module and an argument,
 * which are at these indices, and the paths of modules. */
void uj_resident_give(struct uj_resident *self, lua_State *L, int module,
                      int argument);

/* Makes its thread a member of a crew, before it runs. The caller keeps the
 * member, and frees it when the thread has ended. */
void uj_resident_join(struct uj_resident *self, struct uj_member *member);
/* [-0, +0, -] The member, in the Lua state of the thread; or NULL elsewhere. */
struct uj_member *uj_resident_find_member(lua_State *L);
struct uj_member *uj_resident_member(const struct uj_resident *self);

/* What the thread runs; `resident` is the struct uj_resident. */
void uj_resident_run(struct uj_service *service, void *resident);

/* The service whose mailbox is at idx, which its thread was given; raises when
 * it is something else. */
struct uj_service *uj_resident_mailbox(lua_State *L, int idx);

/* [-0, +0, v] Tells that uvjobs has this state there, or NULL again: the limit
 * of memory depends on what runs. */
void uj_resident_note_state(lua_State *L, int idx, const struct uj_state *S);

/* [-0, +0, m] Packs the value at idx. */
struct uj_message *uj_resident_pack(lua_State *L, uint64_t id, int idx);

#endif
