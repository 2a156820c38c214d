#include "lua/engine/watchers.h"

#include "core/job.h"

void uj_watchers_init(struct uj_state *S, lua_State *L)
{
  lua_newtable(L);
  uj_hub_set(S->hub, L, UJ_HUB_WATCHED);
}

static struct uj_spot *first_spot(struct uj_state *S, const void *source)
{
  struct uj_spot *spot;
  lua_rawgetp(S->hub, UJ_HUB_WATCHED, source);
  spot = lua_touserdata(S->hub, -1);
  lua_pop(S->hub, 1);
  return spot;
}

/* The first spot of a source is replaced, which allocates nothing. */
static void set_first(struct uj_state *S, const void *source,
                      struct uj_spot *spot)
{
  if (spot != NULL)
    lua_pushlightuserdata(S->hub, spot);
  else
    lua_pushnil(S->hub);
  lua_rawsetp(S->hub, UJ_HUB_WATCHED, source);
}

/* A new key can need memory, so that is set by L, which may raise. */
void uj_watchers_add(struct uj_state *S, lua_State *L, struct uj_spot *spot,
                     const void *source)
{
  struct uj_spot *next;
  uj_hub_push(S->hub, L, UJ_HUB_WATCHED);
  if (first_spot(S, source) == NULL) {
    lua_pushboolean(L, 0); /* no spot yet, but a place for it */
    lua_rawsetp(L, -2, source);
  }
  lua_pop(L, 1);
  next = first_spot(S, source);
  spot->source = source;
  spot->previous = NULL;
  spot->next = next;
  if (next != NULL)
    next->previous = spot;
  set_first(S, source, spot);
  S->nwatched++;
}

static void remove_spot(struct uj_state *S, struct uj_spot *spot)
{
  if (spot->source == NULL)
    return;
  if (spot->next != NULL)
    spot->next->previous = spot->previous;
  if (spot->previous != NULL)
    spot->previous->next = spot->next;
  else
    set_first(S, spot->source, spot->next);
  spot->source = NULL;
  S->nwatched--;
}

void uj_watchers_remove(struct uj_state *S, struct uj_watcher *watcher)
{
  for (unsigned i = 0; i < watcher->nspots; i++)
    remove_spot(S, &watcher->spots[i]);
}

/* Of several events the first in the order of the sources is kept: all spots of
 * a watch stand in one array. */
static void wake(struct uj_spot *spot, bool is_event)
{
  struct uj_watcher *watcher = spot->watcher;
  if (is_event && (watcher->set == NULL || spot < watcher->set))
    watcher->set = spot;
  watcher->signalled = true;
  uj_waitq_wake_all(&watcher->waiters);
}

bool uj_watchers_wake(struct uj_state *S, const void *source, bool is_event)
{
  struct uj_spot *first = first_spot(S, source);
  for (struct uj_spot *spot = first; spot != NULL; spot = spot->next)
    wake(spot, is_event);
  return first != NULL;
}
