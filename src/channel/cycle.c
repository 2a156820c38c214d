#include "channel/cycle.h"

#include <pthread.h>
#include <string.h>

#include "channel/parcel.h"
#include "channel/record.h"

/* References to channels are dropped one after the other, or two threads that
 * drop the last two would each take the other's for one that lives on. Nobody
 * waits for it with the lock of a channel, so the locks of several channels can
 * be taken under it, in any order. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* Calls `visit` for each reference to a channel without handles in a message
 * that is stored in this one. */
static void visit_carried(struct uj_channel *self, struct uj_link *suspects,
                          void (*visit)(struct uj_channel *channel,
                                        struct uj_link *suspects))
{
  struct uj_link *link = self->stored.next;
  for (; link != &self->stored; link = link->next) {
    const struct uj_parcel *parcel = uj_container(link, struct uj_parcel, link);
    struct uj_carried carried;
    for (size_t at = parcel->carried; at != UJ_CARRIES_NONE;
         at = carried.before) {
      memcpy(&carried, parcel->data + at - 1, sizeof(carried));
      if (uj_record_is(carried.shared) &&
          atomic_load(&uj_record_of(carried.shared)->nhandles) == 0)
        visit(uj_record_of(carried.shared), suspects);
    }
  }
}

/* ---- who is suspected ---------------------------------------------------- */

static void add_suspect(struct uj_channel *channel, struct uj_link *suspects)
{
  pthread_mutex_lock(&channel->lock);
  channel->ninner = 0;
  channel->lives = false;
  uj_link_append(suspects, &channel->suspect);
}

static void count_inner(struct uj_channel *channel, struct uj_link *suspects)
{
  if (uj_link_empty(&channel->suspect))
    add_suspect(channel, suspects);
  channel->ninner++;
}

static struct uj_channel *suspect_at(struct uj_link *link)
{
  return uj_container(link, struct uj_channel, suspect);
}

/* Finds all, which are added behind while this goes through the list. */
static void find_suspects(struct uj_channel *channel, struct uj_link *suspects)
{
  struct uj_link *link;
  add_suspect(channel, suspects);
  for (link = suspects->next; link != suspects; link = link->next)
    visit_carried(suspect_at(link), suspects, count_inner);
}

/* ---- who lives ----------------------------------------------------------- */

/* Moves one that lives to the end of the list, where what it refers to is still
 * to be looked at. One that got a handle meanwhile is no suspect. */
static void note_life(struct uj_channel *channel, struct uj_link *suspects)
{
  if (channel->lives || uj_link_empty(&channel->suspect))
    return;
  channel->lives = true;
  uj_link_remove(&channel->suspect);
  uj_link_append(suspects, &channel->suspect);
}

/* `dropped` is the one of which a reference is being dropped. */
static bool is_outside(struct uj_channel *channel,
                       const struct uj_channel *dropped)
{
  size_t known = channel->ninner + (channel == dropped ? 1 : 0);
  return atomic_load(&channel->shared.refs) > known;
}

static void find_living(struct uj_link *suspects,
                        const struct uj_channel *dropped)
{
  struct uj_link living, *link, *next;
  uj_link_init(&living);
  for (link = suspects->next; link != suspects; link = next) {
    next = link->next;
    if (is_outside(suspect_at(link), dropped))
      note_life(suspect_at(link), &living);
  }
  for (link = living.next; link != &living; link = link->next)
    visit_carried(suspect_at(link), &living, note_life);
  uj_link_splice(suspects, &living);
}

/* ---- the end of the others ----------------------------------------------- */

/* Takes the messages of those that do not live, and lets go of all. */
static void empty(struct uj_link *suspects, struct uj_link *garbage)
{
  while (!uj_link_empty(suspects)) {
    struct uj_channel *channel = suspect_at(suspects->next);
    uj_link_remove(&channel->suspect);
    if (!channel->lives) {
      uj_link_splice(garbage, &channel->stored);
      channel->nstored = 0;
    }
    pthread_mutex_unlock(&channel->lock);
  }
}

static void find_garbage(struct uj_channel *channel, struct uj_link *garbage)
{
  struct uj_link suspects;
  uj_link_init(&suspects);
  find_suspects(channel, &suspects);
  find_living(&suspects, channel);
  empty(&suspects, garbage);
}

void uj_cycle_drop(struct uj_channel *channel, bool is_handle)
{
  struct uj_link garbage;
  bool is_last;
  uj_link_init(&garbage);
  pthread_mutex_lock(&lock);
  if (is_handle)
    atomic_fetch_sub(&channel->nhandles, 1);
  if (atomic_load(&channel->nhandles) == 0 &&
      atomic_load(&channel->shared.refs) > 1)
    find_garbage(channel, &garbage);
  is_last = atomic_fetch_sub(&channel->shared.refs, 1) == 1;
  pthread_mutex_unlock(&lock);
  if (is_last)
    channel->shared.kind->free(&channel->shared);
  uj_parcel_free_all(&garbage);
}
