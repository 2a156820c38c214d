/* core/sched.h: what a scheduler begins with, its end, its check. */
#include "check.h"

#include "fake_host.h"

static struct fake f;

static void has_the_documented_defaults(void)
{
  fake_init(&f);
  CHECK_EQ(f.sched.limit, 100);
  CHECK_EQ(f.sched.pending_limit, 10000);
  CHECK_EQ(f.sched.close_ns, 100 * MS);
  CHECK_EQ(f.sched.wait_ns, UJ_NEVER);
  CHECK(!f.sched.closed);
  fake_term(&f);
}

static void may_be_ended_twice(void)
{
  fake_init(&f);
  fake_term(&f);
  uj_sched_term(&f.sched);
  CHECK(uj_link_empty(&f.loop.scheds));
}

#ifdef UJ_DEBUG
static void check_sched(void *arg)
{
  uj_sched_check(arg);
}

/* Whether uj_sched_check() sees a counter that is off by one. */
static void check_sees(uint64_t *counter)
{
  ++*counter;
  CHECK(check_aborts(check_sched, &f.sched));
  *counter -= 2;
  CHECK(check_aborts(check_sched, &f.sched));
  ++*counter;
}

static void check_sees_wrong_counters(void)
{
  fake_init_limits(&f, 2, 9);
  for (int i = 0; i < 4; i++)
    SPAWNED(&f, "a", YIELD);
  CHECK(!check_aborts(check_sched, &f.sched));
  check_sees(&f.sched.nactive);
  check_sees(&f.sched.npending);
  check_sees(&f.sched.nlive);
  check_sees(&f.sched.limit);
  ++f.sched.slots; /* now a job is pending although a slot is free */
  ++f.sched.limit;
  CHECK(check_aborts(check_sched, &f.sched));
  --f.sched.slots;
  --f.sched.limit;
  fake_term(&f);
}

static void check_sees_a_job_held_without_a_pause(void)
{
  fake_init(&f);
  SPAWNED(&f, "a", YIELD);
  uj_sched_pause(&f.sched);
  CHECK(!check_aborts(check_sched, &f.sched));
  f.sched.paused = false;
  CHECK(check_aborts(check_sched, &f.sched));
  uj_sched_resume(&f.sched);
  CHECK(!check_aborts(check_sched, &f.sched));
  fake_term(&f);
}
#endif

int main(void)
{
  static const struct check_test tests[] = {
      {"has the documented defaults", has_the_documented_defaults},
      {"may be ended twice", may_be_ended_twice},
#ifdef UJ_DEBUG
      {"its check sees wrong counters", check_sees_wrong_counters},
      {"its check sees a job that is held without a pause",
       check_sees_a_job_held_without_a_pause},
#endif
  };
  return CHECK_RUN(tests);
}
