/* Jobs that wait for the first of several sources: what uvjobs.select() does.
 *
 * A watch takes nothing and has no place among those who wait for a source. All
 * watches of a source are woken when something has come, and look by
 * themselves. So a job that leaves its watch has nothing to give back.
 *
 * The table at UJ_HUB_WATCHED has the first spot of each watched source, as
 * light userdata by the address of the source; the spots of a source are a
 * list. A queue or an event asks only when it is watched, by a flag of its own,
 * which can be left over: it is cleared when nobody is found. A job that ends
 * asks while there is any watch. */
#ifndef UJ_LUA_ENGINE_WATCHERS_H
#define UJ_LUA_ENGINE_WATCHERS_H

#include <lua.h>
#include <stdbool.h>

#include "core/waitq.h"
#include "lua/state/state.h"

struct uj_watcher;

/* One source of a watch. */
struct uj_spot {
  struct uj_watcher *watcher;
  const void *source; /* NULL while the spot is in no list */
  struct uj_spot *previous, *next;
};

/* A watch, in a userdata that keeps its sources from being collected. */
struct uj_watcher {
  struct uj_waitq waiters; /* the job that watches, while it waits */
  struct uj_spot *set;     /* the first of the events that were set, or NULL */
  bool signalled;          /* something has come to one of the sources */
  unsigned nspots;
  struct uj_spot
      *spots; /* an array of the owner, in the order of the sources */
};

/* [-0, +0, m] Makes the table. */
void uj_watchers_init(struct uj_state *S, lua_State *L);

/* [-0, +0, m] Adds a spot to those of its source. The caller sets the flag of a
 * source that has one. */
void uj_watchers_add(struct uj_state *S, lua_State *L, struct uj_spot *spot,
                     const void *source);

/* [-0, +0, -] Removes all spots of a watch; nothing happens when that was done
 * before. */
void uj_watchers_remove(struct uj_state *S, struct uj_watcher *watcher);

/* [-0, +0, -] Something has come to a source: wakes those who watch it. An
 * event counts although it may be cleared before they run, so it is noted in
 * them. Returns the flag of the source: false when nobody watches it. */
bool uj_watchers_wake(struct uj_state *S, const void *source, bool is_event);

#endif
