/* What we know of the inside of Lua 5.4 and 5.5, and what differs between their
 * releases. Everything else uses the documented interface only.
 *
 * Nothing here is promised by the manual: spec/host/test_inside.c proves each
 * of these facts for the Lua that it is built with, and fails for a release
 * that changes one. */
#ifndef UJ_LUA_BASE_INSIDE_H
#define UJ_LUA_BASE_INSIDE_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* The headers of 5.4.0 to 5.4.3 all have 50400 here. Which Lua loads the module
 * is another question: lua/uvjobs/release.lua asks it. */
#if LUA_VERSION_RELEASE_NUM < 50404 || LUA_VERSION_NUM > 505
#error "uvjobs needs Lua 5.4, from 5.4.4 on, or 5.5"
#endif

/* For tests: a new state. From 5.5 on it takes a seed for hashes. */
static inline lua_State *uj_inside_newstate(lua_Alloc alloc, void *context)
{
#if LUA_VERSION_NUM >= 505
  return lua_newstate(alloc, context, 0);
#else
  return lua_newstate(alloc, context);
#endif
}

/* ---- closing coroutines -------------------------------------------------- */

/* Ends a suspended or failed coroutine: runs its to-be-closed variables and
 * empties its stack, up to one error value. Returns LUA_OK, or the status of
 * that error: of the coroutine, which is on the top of its stack and which the
 * handlers get, or of a handler that failed. The handlers cannot suspend. */
static inline int uj_inside_closethread(lua_State *co, lua_State *from)
{
#if LUA_VERSION_RELEASE_NUM >= 50406
  return lua_closethread(co, from);
#else
  (void)from;
  return lua_resetthread(co);
#endif
}

/* The same is right for one that runs, if it never goes on: when lua_close() is
 * called in it, by os.exit(), and from it a finalizer. `from` is another one
 * then, because finalizers run in the main coroutine.
 *
 * From 5.5 on a coroutine can close itself: coroutine.close() leaves everything
 * that runs in it, protected calls and functions in C alike, and lua_resume()
 * returns LUA_OK without results, or the error of a to-be-closed variable. The
 * main coroutine cannot. */
#define UJ_INSIDE_CLOSES_ITSELF (LUA_VERSION_NUM >= 505)

/* ---- finalizers ---------------------------------------------------------- */

/* Whether a finalizer runs, in whatever coroutine. The collector cannot be
 * asked or told anything meanwhile, and it collects nothing. */
static inline bool uj_inside_is_finalizing(lua_State *L)
{
  return lua_gc(L, LUA_GCISRUNNING) == -1;
}

/* ---- protected calls ----------------------------------------------------- */

enum {
  /* How many values pcall() and xpcall() have on their stack below the function
   * that they call: true; and the function, the handler and true. */
  UJ_INSIDE_PCALL_BELOW = 1,
  UJ_INSIDE_XPCALL_BELOW = 3,
  /* Where xpcall() has its message handler, which it reads when the error is
   * raised: a hook can put another one in its place. */
  UJ_INSIDE_XPCALL_HANDLER = 2
};

/* What lua_getinfo() says of the function of a to-be-closed variable, when a
 * block calls it that is left without an error. */
#define UJ_INSIDE_CLOSE_NAMEWHAT "metamethod"
#define UJ_INSIDE_CLOSE_NAME "close"

/* ---- calls --------------------------------------------------------------- */

/* How many results the caller of the function in C takes that runs in L: -1
 * when it takes all. It stands in the record of the call, behind seven words
 * and an int: a number of 16 bits in 5.4; from 5.5 on the lowest eight of 32,
 * and one too many. */
static inline int uj_inside_wanted_results(lua_State *L)
{
  enum { BEFORE = 7 * sizeof(void *) + sizeof(int) };
#if LUA_VERSION_NUM >= 505
  uint32_t wanted;
#else
  int16_t wanted;
#endif
  lua_Debug ar;
  lua_getstack(L, 0, &ar);
  memcpy(&wanted, (const char *)ar.i_ci + BEFORE, sizeof(wanted));
#if LUA_VERSION_NUM >= 505
  return (int)(wanted & 0xff) - 1;
#else
  return wanted;
#endif
}

/* ---- hooks --------------------------------------------------------------- */

/* A coroutine inherits the hook of the one that makes it. */

/* The last event of an instruction that a hook with this mask is called for:
 * the count comes before the line. Only there may a hook yield. */
static inline int uj_inside_last_event(int mask)
{
  return mask & LUA_MASKLINE ? LUA_HOOKLINE : LUA_HOOKCOUNT;
}

/* ---- blocks -------------------------------------------------------------- */

/* The block that lua_close() frees last has the main coroutine in it: in 5.4 at
 * its beginning, from 5.5 on behind the state that all coroutines share. */
static inline bool uj_inside_is_state(const void *block, size_t size,
                                      const lua_State *main)
{
  uintptr_t begin = (uintptr_t)block, at = (uintptr_t)main;
  return begin <= at && at - begin < size;
}

/* ---- the layout of a coroutine ------------------------------------------- */

/* Of systems with 64 bits. */
enum {
  UJ_INSIDE_CO_SIZE = 200, /* of a lua_State, about */
  UJ_INSIDE_CO_WORDS = 7,  /* of which these point to what running it needs: */
  UJ_INSIDE_CO_TOP = 2,    /* the top of its stack */
  UJ_INSIDE_CO_CALL = 4,   /* the innermost call */
  UJ_INSIDE_CO_STACK = 6   /* its stack */
};

/* The first words of a coroutine, as addresses. They are only to be prefetched:
 * if a release of Lua has something else there, nothing breaks. */
static inline void uj_inside_read_words(const lua_State *co,
                                        const void *words[UJ_INSIDE_CO_WORDS])
{
  memcpy(words, co, UJ_INSIDE_CO_WORDS * sizeof(*words));
}

#endif
