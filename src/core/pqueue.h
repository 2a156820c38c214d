/* A queue by value, the least first: a binary heap of nodes that are linked,
 * so that it needs no memory of its own. Adding and removing any node are
 * O(log n), and looking at the first is O(1). It owns nothing. */
#ifndef UJ_CORE_PQUEUE_H
#define UJ_CORE_PQUEUE_H

#include <stddef.h>
#include <stdint.h>

struct uj_pnode {
  struct uj_pnode *parent;
  struct uj_pnode *left;
  struct uj_pnode *right;
  uint64_t value; /* must not change while the node is in a queue */
};

/* All zero when it is empty. The tree is complete: its levels are full but for
 * the last, which is filled from the left. So the path to the n-th node is
 * what the binary digits of n say. */
struct uj_pqueue {
  struct uj_pnode *first;
  uint64_t count;
};

/* Adds a node that is in no queue. */
void uj_pqueue_add(struct uj_pqueue *queue, struct uj_pnode *node,
                   uint64_t value);
/* Removes a node that is in this queue. */
void uj_pqueue_remove(struct uj_pqueue *queue, struct uj_pnode *node);

/* Asserts that no node comes before its parent. */
void uj_pqueue_check(const struct uj_pqueue *queue);

#endif
