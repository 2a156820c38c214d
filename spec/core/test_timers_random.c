/* core/timers.h against a sorted array, in random operations on all scales.
 * Usage: test_timers_random [seeds [first seed]] */
#include "check.h"

#include "core/timers.h"

#define TIMERS 256
#define FEW 64 /* too few for a crowd, so no wake-up is too early */
#define OPS 4000

/* An armed timer, in the order in which it is to fire. */
struct entry {
  uint64_t due_ns;
  unsigned which;
};

struct state {
  struct uj_timers timers;
  struct uj_timer timer[TIMERS];
  struct entry sorted[TIMERS];
  unsigned count;
  unsigned most; /* timers of this round */
  uint64_t now_ns;
  uint64_t rng;
};

static struct check_range range;

/* Most new timers come close behind others, many with the same due time. */
static uint64_t random_due(struct state *s)
{
  uint64_t near = s->now_ns;
  if (s->count > 0 && check_below(&s->rng, 2))
    near = s->sorted[check_below(&s->rng, s->count)].due_ns;
  switch (check_below(&s->rng, 8)) {
  case 0:
    return near;
  case 1: /* a time that is over */
    return near - check_scaled(&s->rng) % (near + 1);
  case 2:
    return UJ_NEVER - 1 - (check_scaled(&s->rng) >> 8);
  default:
    near = uj_clock_add(near, check_scaled(&s->rng));
    return near == UJ_NEVER ? near - 1 : near;
  }
}

static void model_add(struct state *s, unsigned which, uint64_t due_ns)
{
  unsigned at = s->count++;
  for (; at > 0 && s->sorted[at - 1].due_ns > due_ns; at--)
    s->sorted[at] = s->sorted[at - 1];
  s->sorted[at] = (struct entry){due_ns, which};
}

static void model_remove(struct state *s, unsigned at)
{
  s->count--;
  memmove(&s->sorted[at], &s->sorted[at + 1],
          (s->count - at) * sizeof s->sorted[0]);
}

static void op_add(struct state *s)
{
  unsigned which = (unsigned)check_below(&s->rng, s->most);
  struct uj_timer *timer = &s->timer[which];
  uint64_t due_ns = random_due(s);
  if (uj_timer_armed(timer))
    return;
  uj_timers_add(&s->timers, timer, due_ns);
  /* The wheel may move on, but not beyond the present time. */
  CHECK(timer->due_ns >= due_ns);
  CHECK(timer->due_ns == due_ns || timer->due_ns <= s->now_ns);
  model_add(s, which, timer->due_ns);
}

static void op_remove(struct state *s)
{
  unsigned at;
  if (s->count == 0)
    return;
  at = (unsigned)check_below(&s->rng, s->count);
  uj_timers_remove(&s->timers, &s->timer[s->sorted[at].which]);
  model_remove(s, at);
}

/* Takes the next timer that is due, and compares it with that of the model. */
static bool pop(struct state *s)
{
  struct uj_timer *timer = uj_timers_pop(&s->timers, s->now_ns);
  if (s->count == 0 || s->sorted[0].due_ns > s->now_ns) {
    CHECK(timer == NULL);
    return false;
  }
  CHECK(timer == &s->timer[s->sorted[0].which]);
  if (timer != NULL)
    CHECK(!uj_timer_armed(timer));
  model_remove(s, 0);
  return true;
}

static void op_pop(struct state *s)
{
  uint64_t most = check_below(&s->rng, 4) ? UINT64_MAX : 1;
  while (pop(s) && --most > 0)
    continue;
}

static void op_due(struct state *s)
{
  uint64_t bound_ns = uj_timers_bound(&s->timers);
  uint64_t due_ns = uj_timers_due(&s->timers);
  uint64_t first_ns = s->count == 0 ? UJ_NEVER : s->sorted[0].due_ns;
  CHECK(bound_ns <= due_ns);
  CHECK(due_ns <= first_ns);
  if (s->most <= FEW)
    CHECK_EQ(due_ns, first_ns);
}

/* Sleeps as a driver does until something is due. */
static void op_drive(struct state *s)
{
  unsigned wakes = 0;
  for (;;) {
    uint64_t due_ns = uj_timers_due(&s->timers);
    op_due(s);
    if (due_ns == UJ_NEVER)
      break;
    if (due_ns > s->now_ns)
      s->now_ns = due_ns;
    if (pop(s))
      break;
    if (++wakes > (s->most <= FEW ? 0 : UJ_TIMERS_LEVELS)) {
      CHECK(!"reaches the next due time in a few wake-ups");
      break;
    }
  }
}

static void op_advance(struct state *s)
{
  uint64_t now_ns = uj_clock_add(s->now_ns, check_scaled(&s->rng) >> 16);
  if (now_ns < UJ_NEVER - 1)
    s->now_ns = now_ns;
}

static void op(struct state *s)
{
  switch (check_below(&s->rng, 16)) {
  case 0:
  case 1:
  case 2:
    op_remove(s);
    break;
  case 3:
    op_due(s);
    break;
  case 4:
  case 5:
    op_drive(s);
    break;
  case 6:
    op_advance(s);
    break;
  case 7:
    op_pop(s);
    break;
  default:
    op_add(s);
  }
}

static void round_of(uint64_t seed)
{
  static struct state s;
  s.rng = seed;
  s.count = 0;
  s.most = check_below(&s.rng, 2) ? TIMERS : FEW;
  s.now_ns = check_scaled(&s.rng) >> 1;
  uj_timers_init(&s.timers, s.now_ns);
  for (int i = 0; i < TIMERS; i++)
    uj_timer_init(&s.timer[i]);
  for (int i = 0; i < OPS && check_failures == 0; i++) {
    op(&s);
    if (i % 16 == 0) {
      CHECK_EQ(uj_timers_check(&s.timers), s.count);
      CHECK_EQ(s.timers.count, s.count);
    }
  }
  do /* when no timer is left, until uj_timers_due() knows that */
    op_drive(&s);
  while (check_failures == 0 && uj_timers_due(&s.timers) != UJ_NEVER);
  CHECK_EQ(s.count, 0);
}

static void agrees_with_a_sorted_array(void)
{
  check_rounds(range, round_of);
}

int main(int argc, char **argv)
{
  static const struct check_test tests[] = {
      {"fires as a sorted array would #M10", agrees_with_a_sorted_array},
  };
  range = check_arguments(argc, argv, 200);
  return CHECK_RUN(tests);
}
