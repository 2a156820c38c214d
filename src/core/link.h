/* Intrusive circular doubly linked lists.
 *
 * A list head and a link are the same struct. A link that is in no list, and
 * the head of an empty list, point to themselves. So removing a link is O(1),
 * needs no head, and may be done twice. Lists own nothing. */
#ifndef UJ_CORE_LINK_H
#define UJ_CORE_LINK_H

#include <stdbool.h>
#include <stddef.h>

struct uj_link {
  struct uj_link *prev;
  struct uj_link *next;
};

/* The address that is `offset` bytes before another. */
static inline void *uj_before(void *address, size_t offset)
{
  return (char *)address - offset;
}

/* The struct of type `type` whose `member` this link is. */
#define uj_container(link, type, member) \
  ((type *)uj_before((link), offsetof(type, member)))

static inline void uj_link_init(struct uj_link *link)
{
  link->prev = link;
  link->next = link;
}

/* For a link: whether it is in no list. For a head: whether the list is empty.
 */
static inline bool uj_link_empty(const struct uj_link *link)
{
  return link->next == link;
}

static inline void uj_link_append(struct uj_link *list, struct uj_link *link)
{
  link->prev = list->prev;
  link->next = list;
  list->prev->next = link;
  list->prev = link;
}

static inline void uj_link_remove(struct uj_link *link)
{
  link->prev->next = link->next;
  link->next->prev = link->prev;
  uj_link_init(link);
}

/* Moves all of `from` to the end of `to`, in order. */
static inline void uj_link_splice(struct uj_link *to, struct uj_link *from)
{
  if (uj_link_empty(from))
    return;
  from->next->prev = to->prev;
  to->prev->next = from->next;
  from->prev->next = to;
  to->prev = from->prev;
  uj_link_init(from);
}

#endif
