/* What a thread hears of the channels that its jobs wait for.
 *
 * Each Lua state has one inbox. Other threads post into it links of what
 * something has happened to, uj_seat::news, and the thread of the state takes
 * them out when it looks at the outside world. It is woken only when it sleeps,
 * and once: it says so before it goes to sleep, and hears in the same moment
 * whether something has come meanwhile. So no news is slept through.
 *
 * A seat that left its channel gets no more posts. Before its memory goes it
 * must be taken out, by uj_inbox_forget(). */
#ifndef UJ_CHANNEL_INBOX_H
#define UJ_CHANNEL_INBOX_H

#include <stdbool.h>

#include "core/link.h"

struct uj_inbox;

/* Returns NULL without memory. It sleeps, but nobody is woken for it. */
struct uj_inbox *uj_inbox_new(void);
/* The thread of the state hears no more. All its seats have left. */
void uj_inbox_end(struct uj_inbox *self);

/* False in the child of a fork: nothing can be done with it there. */
bool uj_inbox_is_here(const struct uj_inbox *self);

/* ---- in any thread ------------------------------------------------------- */

/* Posts a link; nothing happens to one that is there already. Returns whether
 * the thread has to be woken: then the caller must call uj_inbox_ring(), for
 * which the inbox stays there until then. */
bool uj_inbox_post(struct uj_inbox *self, struct uj_link *news);
void uj_inbox_ring(struct uj_inbox *self);

/* ---- in the thread of the state ------------------------------------------ */

/* Whether something is there. It takes no lock. */
bool uj_inbox_has_news(const struct uj_inbox *self);
/* Takes the link that was posted first, or NULL. */
struct uj_link *uj_inbox_take(struct uj_inbox *self);
void uj_inbox_forget(struct uj_inbox *self, struct uj_link *news);

/* From now on a post wakes the thread, by `wake(arg)`, which any thread can
 * call. Returns false when there is news: then it must not sleep. */
bool uj_inbox_fall_asleep(struct uj_inbox *self, void (*wake)(void *arg),
                          void *arg);
/* It looks by itself again. */
void uj_inbox_wake_up(struct uj_inbox *self);

#endif
