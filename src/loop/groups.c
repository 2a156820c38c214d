#include "loop/groups.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

enum { FREE = 0, CLAIMED = -1 };

/* A place in the list. The places are never freed, only used again: so a signal
 * handler, and other threads, may walk the list at any time. There are as many
 * as there were groups at once. */
struct place {
  atomic_int group; /* or FREE, or CLAIMED by somebody who fills it in */
  atomic_int owner; /* the process that has added it */
  struct place *next;
};

static struct place *_Atomic first;

static struct place *claim_free(void)
{
  for (struct place *place = first; place != NULL; place = place->next) {
    int expected = FREE;
    if (atomic_compare_exchange_strong(&place->group, &expected, CLAIMED))
      return place;
  }
  return NULL;
}

static struct place *new_claimed(void)
{
  struct place *place = calloc(1, sizeof(*place));
  if (place == NULL)
    return NULL;
  place->group = CLAIMED;
  place->next = first;
  while (!atomic_compare_exchange_weak(&first, &place->next, place))
    ;
  return place;
}

bool uj_groups_add(int group)
{
  struct place *place = claim_free();
  if (place == NULL)
    place = new_claimed();
  if (place == NULL)
    return false;
  place->owner = (int)getpid();
  place->group = group;
  return true;
}

void uj_groups_remove(int group)
{
  const int self = (int)getpid();
  for (struct place *place = first; place != NULL; place = place->next) {
    int expected = group;
    if (place->owner == self &&
        atomic_compare_exchange_strong(&place->group, &expected, FREE))
      return;
  }
}

void uj_groups_kill(void)
{
  const int self = (int)getpid();
  for (struct place *place = first; place != NULL; place = place->next) {
    const int group = place->group;
    if (group > 0 && place->owner == self)
      (void)kill(-group, SIGKILL);
  }
}
