#include "core/pqueue.h"

#include <assert.h>

/* What refers to the node. */
static struct uj_pnode **link_to(struct uj_pqueue *queue,
                                 const struct uj_pnode *node)
{
  struct uj_pnode *parent = node->parent;
  if (parent == NULL)
    return &queue->first;
  return parent->left == node ? &parent->left : &parent->right;
}

/* Where the n-th node is linked, counted from 1; `parent` becomes the one
 * above. */
static struct uj_pnode **find(struct uj_pqueue *queue, uint64_t n,
                              struct uj_pnode **parent)
{
  struct uj_pnode **link = &queue->first;
  unsigned digits = 63U - (unsigned)__builtin_clzll(n);
  *parent = NULL;
  while (digits-- > 0) {
    *parent = *link;
    link = n >> digits & 1 ? &(*link)->right : &(*link)->left;
  }
  return link;
}

/* Makes the children of the node refer to it. */
static void adopt(struct uj_pnode *node)
{
  if (node->left != NULL)
    node->left->parent = node;
  if (node->right != NULL)
    node->right->parent = node;
}

/* Exchanges a node and its parent. */
static void lift(struct uj_pqueue *queue, struct uj_pnode *node)
{
  struct uj_pnode *parent = node->parent, *left = node->left,
                  *right = node->right;
  *link_to(queue, parent) = node;
  node->parent = parent->parent;
  node->left = parent->left == node ? parent : parent->left;
  node->right = parent->right == node ? parent : parent->right;
  parent->left = left;
  parent->right = right;
  adopt(node);
  adopt(parent);
}

static struct uj_pnode *lesser_child(const struct uj_pnode *node)
{
  struct uj_pnode *left = node->left, *right = node->right;
  return right != NULL && right->value < left->value ? right : left;
}

/* Moves a node to where it belongs. */
static void settle(struct uj_pqueue *queue, struct uj_pnode *node)
{
  struct uj_pnode *child;
  while (node->parent != NULL && node->value < node->parent->value)
    lift(queue, node);
  while ((child = lesser_child(node)) != NULL && child->value < node->value)
    lift(queue, child);
}

void uj_pqueue_add(struct uj_pqueue *queue, struct uj_pnode *node,
                   uint64_t value)
{
  struct uj_pnode **link = find(queue, ++queue->count, &node->parent);
  node->left = node->right = NULL;
  node->value = value;
  *link = node;
  settle(queue, node);
}

/* The last node takes the place of the one that leaves. */
void uj_pqueue_remove(struct uj_pqueue *queue, struct uj_pnode *node)
{
  struct uj_pnode *parent, *last, **link;
  assert(queue->count > 0);
  link = find(queue, queue->count--, &parent);
  last = *link;
  *link = NULL;
  if (last == node)
    return;
  *link_to(queue, node) = last;
  last->parent = node->parent;
  last->left = node->left;
  last->right = node->right;
  adopt(last);
  settle(queue, last);
}

static uint64_t check(const struct uj_pnode *node,
                      const struct uj_pnode *parent)
{
  if (node == NULL)
    return 0;
  (void)parent;
  assert(node->parent == parent);
  assert(parent == NULL || parent->value <= node->value);
  return 1 + check(node->left, node) + check(node->right, node);
}

void uj_pqueue_check(const struct uj_pqueue *queue)
{
  uint64_t count = check(queue->first, NULL);
  assert(count == queue->count);
  (void)count;
}
