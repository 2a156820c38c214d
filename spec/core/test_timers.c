/* core/timers.h: the wheel, against examples. See also test_timers_random. */
#include "check.h"

#include "core/timers.h"

#define MANY 1000

struct wheel {
  struct uj_timers timers;
  struct uj_timer timer[MANY];
};

static void init(struct wheel *w, uint64_t now_ns)
{
  uj_timers_init(&w->timers, now_ns);
  for (int i = 0; i < MANY; i++)
    uj_timer_init(&w->timer[i]);
}

static void add(struct wheel *w, int i, uint64_t due_ns)
{
  uj_timers_add(&w->timers, &w->timer[i], due_ns);
  CHECK(uj_timer_armed(&w->timer[i]));
  (void)uj_timers_check(&w->timers);
}

/* Takes the next timer that is due; returns its number, or -1 for none. */
static int pop(struct wheel *w, uint64_t now_ns)
{
  struct uj_timer *timer = uj_timers_pop(&w->timers, now_ns);
  (void)uj_timers_check(&w->timers);
  if (timer == NULL)
    return -1;
  CHECK(!uj_timer_armed(timer));
  CHECK(timer->due_ns <= now_ns);
  return (int)(timer - w->timer);
}

/* Sleeps until uj_timers_due() as a driver does; returns the time at which a
 * timer comes, and counts the wake-ups that it took. */
static uint64_t drive(struct wheel *w, int *which, unsigned *wakes)
{
  *which = -1;
  for (*wakes = 0; *wakes < 100; ++*wakes) {
    uint64_t now_ns = uj_timers_due(&w->timers);
    (void)uj_timers_check(&w->timers);
    if (now_ns == UJ_NEVER)
      return UJ_NEVER;
    *which = pop(w, now_ns);
    if (*which >= 0)
      return now_ns;
  }
  CHECK(!"a driver wakes up for ever");
  return UJ_NEVER;
}

static void empty_has_nothing_due(void)
{
  static struct wheel w;
  init(&w, 5);
  CHECK_EQ(uj_timers_due(&w.timers), UJ_NEVER);
  CHECK_EQ(pop(&w, 5), -1);
  CHECK_EQ(pop(&w, UJ_NEVER - 1), -1);
  CHECK_EQ(uj_timers_due(&w.timers), UJ_NEVER);
  CHECK_EQ(uj_timers_check(&w.timers), 0);
  uj_timers_remove(&w.timers, &w.timer[0]);
  CHECK_EQ(uj_timers_due(&w.timers), UJ_NEVER);
}

static void fires_in_order(void)
{
  static struct wheel w;
  static const uint64_t dues[] = {700, 64,   65,         1,          63,
                                  0,   4096, 1000000007, 1000000006, 4095};
  static const int order[] = {5, 3, 4, 1, 2, 0, 9, 6, 8, 7};
  init(&w, 0);
  for (int i = 0; i < 10; i++)
    add(&w, i, dues[i]);
  CHECK_EQ(uj_timers_check(&w.timers), 10);
  CHECK_EQ(w.timers.count, 10);
  for (int i = 0; i < 10; i++)
    CHECK_EQ(pop(&w, UINT64_C(1) << 40), order[i]);
  CHECK_EQ(pop(&w, UINT64_C(1) << 40), -1);
}

static void fires_at_its_nanosecond(void)
{
  static struct wheel w;
  static const uint64_t start = 123456789;
  for (unsigned shift = 0; shift < 63; shift++) {
    uint64_t due_ns = start + (UINT64_C(1) << shift);
    init(&w, start);
    add(&w, 0, due_ns);
    CHECK_EQ(uj_timers_due(&w.timers), due_ns);
    CHECK_EQ(pop(&w, start), -1);
    CHECK_EQ(pop(&w, due_ns - 1), -1);
    CHECK_EQ(uj_timers_due(&w.timers), due_ns);
    CHECK_EQ(pop(&w, due_ns), 0);
    CHECK_EQ(uj_timers_due(&w.timers), UJ_NEVER);
  }
}

static void equal_dues_keep_their_order(void)
{
  static struct wheel w;
  init(&w, 77);
  for (int i = 0; i < MANY; i++)
    add(&w, i, 5000000);
  for (int i = 0; i < MANY; i++)
    CHECK_EQ(pop(&w, 5000000), i);
}

/* The earlier timers have moved down the wheel, while the later ones were added
 * on a low level. */
static void equal_dues_of_different_times_keep_their_order(void)
{
  static struct wheel w;
  const uint64_t due_ns = 987654321;
  int count = 0;
  init(&w, 0);
  for (uint64_t left = due_ns; left > 0; left /= 3) {
    uint64_t now_ns = due_ns - left;
    CHECK_EQ(pop(&w, now_ns), -1);
    add(&w, count++, due_ns);
    add(&w, MANY - count, now_ns); /* so that timers move down */
    CHECK_EQ(pop(&w, now_ns), MANY - count);
    add(&w, count++, due_ns);
  }
  CHECK(count > 30 && count < MANY / 2);
  for (int i = 0; i < count; i++)
    CHECK_EQ(pop(&w, due_ns), i);
  CHECK_EQ(pop(&w, due_ns), -1);
}

static void past_dues_count_as_now(void)
{
  static struct wheel w;
  init(&w, 1000000);
  add(&w, 0, 3);
  add(&w, 1, 1000000);
  add(&w, 2, 0);
  CHECK(uj_timers_due(&w.timers) <= 1000000);
  CHECK_EQ(pop(&w, 1000000), 0);
  CHECK_EQ(pop(&w, 1000000), 1);
  CHECK_EQ(pop(&w, 1000000), 2);
  CHECK_EQ(pop(&w, 1000000), -1);
}

static void past_dues_after_a_long_pause(void)
{
  static struct wheel w;
  init(&w, 10);
  add(&w, 0, 20);
  add(&w, 1, 900);
  CHECK_EQ(pop(&w, 1000000), 0);
  add(&w, 2, 15);
  add(&w, 3, 900);
  CHECK_EQ(pop(&w, 1000000), 2);
  CHECK_EQ(pop(&w, 1000000), 1);
  CHECK_EQ(pop(&w, 1000000), 3);
  CHECK_EQ(pop(&w, 1000000), -1);
}

static void removes_in_every_place(void)
{
  static struct wheel w;
  init(&w, 0);
  for (int i = 0; i < 100; i++)
    add(&w, i, (uint64_t)i * i * i * i);
  for (int i = 0; i < 100; i += 2) {
    uj_timers_remove(&w.timers, &w.timer[i]);
    uj_timers_remove(&w.timers, &w.timer[i]);
    CHECK(!uj_timer_armed(&w.timer[i]));
    CHECK_EQ(uj_timers_check(&w.timers), 99 - i / 2);
  }
  for (int i = 1; i < 100; i += 2)
    CHECK_EQ(pop(&w, UINT64_C(1) << 32), i);
  CHECK_EQ(pop(&w, UINT64_C(1) << 32), -1);
}

static void forgets_a_removed_minimum(void)
{
  static struct wheel w;
  unsigned wakes;
  int which;
  init(&w, 0);
  add(&w, 0, 1000);
  add(&w, 1, 2000000);
  uj_timers_remove(&w.timers, &w.timer[0]);
  CHECK_EQ(drive(&w, &which, &wakes), 2000000);
  CHECK_EQ(which, 1);
  CHECK_EQ(wakes, 0);
  add(&w, 2, 3000000);
  CHECK_EQ(uj_timers_due(&w.timers), 3000000);
  uj_timers_remove(&w.timers, &w.timer[2]);
  CHECK_EQ(uj_timers_due(&w.timers), UJ_NEVER);
  CHECK_EQ(drive(&w, &which, &wakes), UJ_NEVER);
}

static void check_removed(struct wheel *w, int i, uint64_t due_ns)
{
  uj_timers_remove(&w->timers, &w->timer[i]);
  (void)uj_timers_check(&w->timers);
  CHECK_EQ(uj_timers_due(&w->timers), due_ns);
}

static void due_is_exact_after_removals(void)
{
  static struct wheel w;
  init(&w, 7);
  add(&w, 0, 1000);
  add(&w, 1, 1000);
  add(&w, 2, 1001);
  add(&w, 3, 5000000);
  add(&w, 4, 900000000);
  check_removed(&w, 2, 1000); /* this is not the first timer */
  check_removed(&w, 0, 1000); /* another timer has the same time */
  check_removed(&w, 5, 1000); /* this timer was never armed */
  check_removed(&w, 1, 5000000);
  check_removed(&w, 1, 5000000); /* it is not armed any more */
  add(&w, 0, 600);
  CHECK_EQ(uj_timers_due(&w.timers), 600);
  check_removed(&w, 0, 5000000);
  CHECK_EQ(pop(&w, 5000000), 3);
  check_removed(&w, 3, 900000000); /* it has fired */
  check_removed(&w, 4, UJ_NEVER);
  add(&w, 3, 5000001);
  CHECK_EQ(uj_timers_due(&w.timers), 5000001);
}

/* A timer is added when the first one was removed and uj_timers_due() was not
 * called since. */
static void due_is_exact_after_a_removal_and_more(void)
{
  static struct wheel w;
  init(&w, 0);
  add(&w, 0, 1000);
  add(&w, 1, 2000);
  uj_timers_remove(&w.timers, &w.timer[0]);
  add(&w, 2, 1500);
  CHECK_EQ(uj_timers_due(&w.timers), 1500);
  uj_timers_remove(&w.timers, &w.timer[2]);
  add(&w, 0, 3000);
  CHECK_EQ(uj_timers_due(&w.timers), 2000);
  uj_timers_remove(&w.timers, &w.timer[1]);
  CHECK_EQ(pop(&w, 2999), -1);
  CHECK_EQ(uj_timers_due(&w.timers), 3000);
  CHECK_EQ(pop(&w, 3000), 0);
}

static void arms_again(void)
{
  static struct wheel w;
  init(&w, 0);
  add(&w, 0, 50);
  add(&w, 1, 50);
  uj_timers_remove(&w.timers, &w.timer[0]);
  add(&w, 0, 50);
  CHECK_EQ(pop(&w, 50), 1);
  add(&w, 1, 50);
  CHECK_EQ(pop(&w, 50), 0);
  CHECK_EQ(pop(&w, 50), 1);
}

static void huge_times(void)
{
  static struct wheel w;
  static const uint64_t dues[] = {
      UJ_NEVER - 1,      UJ_NEVER - 2,
      UINT64_C(1) << 63, (UINT64_C(1) << 63) - 1,
      UINT64_C(1) << 60, UJ_NEVER - 64,
      UJ_NEVER - 65,     1,
  };
  static const int order[] = {7, 4, 3, 2, 6, 5, 1, 0};
  unsigned wakes;
  int which;
  init(&w, 0);
  for (int i = 0; i < 8; i++)
    add(&w, i, dues[i]);
  for (int i = 0; i < 8; i++) {
    CHECK_EQ(drive(&w, &which, &wakes), dues[order[i]]);
    CHECK_EQ(which, order[i]);
  }
}

static void may_change_while_it_is_emptied(void)
{
  static struct wheel w;
  init(&w, 0);
  for (int i = 0; i < 10; i++)
    add(&w, i, 100 + (uint64_t)i);
  CHECK_EQ(pop(&w, 5000), 0);
  add(&w, 10, 104);
  add(&w, 11, 90); /* it fires first, although its time is over */
  uj_timers_remove(&w.timers, &w.timer[1]);
  CHECK_EQ(pop(&w, 5000), 11);
  CHECK_EQ(pop(&w, 5000), 2);
  uj_timers_remove(&w.timers, &w.timer[4]);
  CHECK_EQ(pop(&w, 5000), 3);
  CHECK_EQ(pop(&w, 5000), 10);
  CHECK_EQ(pop(&w, 5000), 5);
}

/* The driver wakes up once for each level that a crowd moves down. */
static void a_crowd_costs_few_wake_ups(void)
{
  static struct wheel w;
  unsigned wakes;
  int which;
  init(&w, 0);
  for (int i = 0; i < MANY; i++)
    add(&w, i,
        UINT64_C(0xf000000000000000) + UINT64_C(0xfffffff) - (uint64_t)i);
  CHECK(uj_timers_due(&w.timers) <= w.timer[MANY - 1].due_ns);
  CHECK_EQ(drive(&w, &which, &wakes), w.timer[MANY - 1].due_ns);
  CHECK_EQ(which, MANY - 1);
  CHECK(wakes <= UJ_TIMERS_LEVELS);
  for (int i = MANY - 2; i >= 0; i--) {
    CHECK_EQ(drive(&w, &which, &wakes), w.timer[i].due_ns);
    CHECK_EQ(which, i);
    CHECK(wakes <= UJ_TIMERS_LEVELS);
  }
}

/* Removals from a crowd make wake-ups too early, but no more than one for each
 * level that it moves down. */
static void a_crowd_that_left_costs_few_wake_ups(void)
{
  static struct wheel w;
  const uint64_t start = UINT64_C(0xf000000000000000);
  unsigned wakes;
  int which;
  init(&w, 0);
  for (int i = 0; i < MANY; i++)
    add(&w, i, start + 1000 * (uint64_t)i);
  for (int i = 0; i < MANY - 1; i++) {
    uj_timers_remove(&w.timers, &w.timer[i]);
    CHECK(uj_timers_due(&w.timers) <= w.timer[i + 1].due_ns);
    (void)uj_timers_check(&w.timers);
  }
  CHECK_EQ(drive(&w, &which, &wakes), w.timer[MANY - 1].due_ns);
  CHECK_EQ(which, MANY - 1);
  CHECK(wakes <= 1);
  CHECK_EQ(uj_timers_due(&w.timers), UJ_NEVER);
}

int main(void)
{
  static const struct check_test tests[] = {
      {"an empty wheel has nothing due", empty_has_nothing_due},
      {"fires in the order of the due times #M10", fires_in_order},
      {"fires at its nanosecond and not before #M10", fires_at_its_nanosecond},
      {"equal dues fire in the order they were set #M10",
       equal_dues_keep_their_order},
      {"equal dues set at different times fire in that order #M10",
       equal_dues_of_different_times_keep_their_order},
      {"a time that has passed counts as now", past_dues_count_as_now},
      {"a time that has passed fires, in order, after a pause",
       past_dues_after_a_long_pause},
      {"a timer is removed from every place", removes_in_every_place},
      {"the due time of a removed timer costs no wake-up",
       forgets_a_removed_minimum},
      {"what is due next is exact after removals", due_is_exact_after_removals},
      {"what is due next is exact when more came after a removal",
       due_is_exact_after_a_removal_and_more},
      {"a timer that was removed or fired is armed again", arms_again},
      {"times up to the last nanosecond work", huge_times},
      {"timers come and go while the due ones are taken",
       may_change_while_it_is_emptied},
      {"a crowd in one slot costs a wake-up for each level",
       a_crowd_costs_few_wake_ups},
      {"a crowd that was removed costs one wake-up",
       a_crowd_that_left_costs_few_wake_ups},
  };
  return CHECK_RUN(tests);
}
