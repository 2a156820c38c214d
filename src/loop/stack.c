#include "loop/stack.h"

#include <stdlib.h>
#include <uv.h>

int uj_stack_init(struct uj_stack *stack)
{
  int error;
  stack->mutex = malloc(sizeof(uv_mutex_t));
  if (stack->mutex == NULL)
    return UV_ENOMEM;
  error = uv_mutex_init(stack->mutex);
  if (error != 0)
    free(stack->mutex);
  uj_link_init(&stack->links);
  return error;
}

void uj_stack_term(struct uj_stack *stack)
{
  uv_mutex_destroy(stack->mutex);
  free(stack->mutex);
}

void uj_stack_push(struct uj_stack *stack, struct uj_link *link)
{
  uv_mutex_lock(stack->mutex);
  uj_link_append(&stack->links, link);
  uv_mutex_unlock(stack->mutex);
}

struct uj_link *uj_stack_pop(struct uj_stack *stack)
{
  struct uj_link *link;
  uv_mutex_lock(stack->mutex);
  link = stack->links.prev;
  if (link == &stack->links)
    link = NULL;
  else
    uj_link_remove(link);
  uv_mutex_unlock(stack->mutex);
  return link;
}
