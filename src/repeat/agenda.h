/* What is due at which date, first things first: a heap that needs no memory
 * of its own.
 *
 * Entries with the same date come in the order in which they were made. To add
 * one takes constant time, to take one out amortised O(log n). Unlike the
 * timing wheel of the core it does not mind when the date goes back.
 *
 * After M. Fredman, R. Sedgewick, D. Sleator, R. Tarjan: The pairing heap
 * (1986). */
#ifndef UJ_REPEAT_AGENDA_H
#define UJ_REPEAT_AGENDA_H

#include <stdbool.h>
#include <stdint.h>

/* Owned by whoever adds it; in at most one agenda. */
struct uj_entry {
  struct uj_entry *child;  /* the first of those that come later */
  struct uj_entry *next;   /* of the same parent, or NULL */
  struct uj_entry *before; /* the one before that, or the parent */
  double at_s;             /* seconds since 1970 */
  uint64_t number;         /* in the order of making */
  bool is_in;              /* it is in an agenda */
};

struct uj_agenda {
  struct uj_entry *first; /* NULL when it is empty */
  uint64_t made;          /* entries that were ever made for it */
};

void uj_agenda_init(struct uj_agenda *agenda);

void uj_entry_init(struct uj_agenda *agenda, struct uj_entry *entry);

/* Adds an entry that is not in it. */
void uj_agenda_add(struct uj_agenda *agenda, struct uj_entry *entry,
                   double at_s);
/* Takes an entry out, if it is in. */
void uj_agenda_remove(struct uj_agenda *agenda, struct uj_entry *entry);

/* Asserts the invariants; returns the number of entries. */
uint64_t uj_agenda_check(const struct uj_agenda *agenda);

#endif
