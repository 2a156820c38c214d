/* core/pqueue.h, against a list that is searched. */
#include "check.h"

#include "core/link.h"
#include "core/pqueue.h"

enum { NODES = 200, STEPS = 20000 };

static struct uj_pqueue queue;
static struct uj_pnode nodes[NODES];
static bool is_in[NODES];
static uint64_t count;

static uint64_t least(void)
{
  uint64_t value = UINT64_MAX;
  for (int i = 0; i < NODES; i++)
    if (is_in[i] && nodes[i].value < value)
      value = nodes[i].value;
  return value;
}

static void toggle(int i, uint64_t value)
{
  if (is_in[i])
    uj_pqueue_remove(&queue, &nodes[i]);
  else
    uj_pqueue_add(&queue, &nodes[i], value);
  is_in[i] = !is_in[i];
  if (is_in[i])
    count++;
  else
    count--;
}

static void play(uint64_t seed)
{
  int used = 1 + (int)(check_random(&seed) % NODES);
  for (int step = 0; step < STEPS; step++) {
    uint64_t values = check_random(&seed) % 2 ? 10 : UINT64_MAX;
    toggle((int)(check_random(&seed) % (uint64_t)used),
           check_random(&seed) % values);
    CHECK_EQ(queue.count, count);
    CHECK_EQ(queue.first == NULL, count == 0);
    if (queue.first != NULL)
      CHECK_EQ(queue.first->value, least());
    if (step % 64 == 0)
      uj_pqueue_check(&queue);
  }
  while (queue.first != NULL)
    toggle((int)(queue.first - nodes), 0);
}

static void the_least_is_first(void)
{
  check_rounds((struct check_range){10, 1}, play);
}

int main(void)
{
  static const struct check_test tests[] = {
      {"the least is first, whatever is added and removed", the_least_is_first},
  };
  return CHECK_RUN(tests);
}
