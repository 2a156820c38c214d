/* A stack of links that several threads may use at once. It owns none of them.
 */
#ifndef UJ_LOOP_STACK_H
#define UJ_LOOP_STACK_H

#include "core/link.h"

struct uj_stack {
  struct uj_link links; /* the top is the last one */
  void *mutex;          /* ours: a uv_mutex_t on the heap */
};

/* Returns 0 or a negative error of uj_driver_strerror(). */
int uj_stack_init(struct uj_stack *stack);
void uj_stack_term(struct uj_stack *stack);

void uj_stack_push(struct uj_stack *stack, struct uj_link *link);
/* Returns the top, or NULL if the stack is empty. */
struct uj_link *uj_stack_pop(struct uj_stack *stack);

#endif
