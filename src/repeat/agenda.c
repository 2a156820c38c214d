#include "repeat/agenda.h"

#include <assert.h>
#include <stddef.h>

void uj_agenda_init(struct uj_agenda *agenda)
{
  agenda->first = NULL;
  agenda->made = 0;
}

void uj_entry_init(struct uj_agenda *agenda, struct uj_entry *entry)
{
  *entry = (struct uj_entry){.number = agenda->made++};
}

static bool comes_before(const struct uj_entry *a, const struct uj_entry *b)
{
  return a->at_s < b->at_s || (a->at_s == b->at_s && a->number < b->number);
}

/* Makes the later of two roots the first child of the other one. */
static struct uj_entry *meld(struct uj_entry *a, struct uj_entry *b)
{
  if (comes_before(b, a)) {
    struct uj_entry *c = a;
    a = b;
    b = c;
  }
  b->before = a;
  b->next = a->child;
  if (a->child != NULL)
    a->child->before = b;
  a->child = b;
  a->next = NULL;
  a->before = NULL;
  return a;
}

/* Melds a list of siblings, from left to right in pairs, and those from right
 * to left: which is what makes the cost logarithmic. */
static struct uj_entry *meld_all(struct uj_entry *list)
{
  struct uj_entry *pairs = NULL, *root;
  if (list == NULL)
    return NULL;
  while (list != NULL) {
    struct uj_entry *a = list, *b = a->next;
    list = b != NULL ? b->next : NULL;
    if (b != NULL)
      a = meld(a, b);
    a->next = pairs;
    pairs = a;
  }
  root = pairs;
  pairs = root->next;
  root->next = NULL;
  root->before = NULL;
  while (pairs != NULL) {
    struct uj_entry *rest = pairs->next;
    root = meld(root, pairs);
    pairs = rest;
  }
  return root;
}

void uj_agenda_add(struct uj_agenda *agenda, struct uj_entry *entry,
                   double at_s)
{
  assert(!entry->is_in);
  entry->at_s = at_s;
  entry->is_in = true;
  agenda->first = agenda->first == NULL ? entry : meld(agenda->first, entry);
}

/* Takes an entry that is no root out of the list of its siblings. */
static void cut(struct uj_entry *entry)
{
  if (entry->before->child == entry)
    entry->before->child = entry->next;
  else
    entry->before->next = entry->next;
  if (entry->next != NULL)
    entry->next->before = entry->before;
}

void uj_agenda_remove(struct uj_agenda *agenda, struct uj_entry *entry)
{
  struct uj_entry *rest;
  if (!entry->is_in)
    return;
  rest = meld_all(entry->child);
  if (agenda->first == entry)
    agenda->first = rest;
  else {
    cut(entry);
    if (rest != NULL)
      agenda->first = meld(agenda->first, rest);
  }
  entry->child = NULL;
  entry->next = NULL;
  entry->before = NULL;
  entry->is_in = false;
}

/* The children of an entry lie as deep as there are entries, in the worst case;
 * so this follows the links instead of calling itself. */
uint64_t uj_agenda_check(const struct uj_agenda *agenda)
{
  const struct uj_entry *entry = agenda->first, *above;
  uint64_t count = 0;
  assert(entry == NULL || (entry->next == NULL && entry->before == NULL));
  while (entry != NULL) {
    count++;
    assert(entry->is_in);
    assert(entry->child == NULL || (entry->child->before == entry &&
                                    comes_before(entry, entry->child)));
    assert(entry->next == NULL || entry->next->before == entry);
    if (entry->child != NULL) {
      entry = entry->child;
      continue;
    }
    while (entry != NULL && entry->next == NULL) { /* up to the parent */
      do {
        above = entry;
        entry = entry->before;
      } while (entry != NULL && entry->child != above);
    }
    entry = entry != NULL ? entry->next : NULL;
  }
  return count;
}
