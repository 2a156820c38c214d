/* core/waitq.h and core/event.h: who is woken, and who is not. */
#include "check.h"

#include "core/event.h"
#include "fake_host.h"

static struct fake f;
static struct uj_waitq q;

static void init(void)
{
  fake_init(&f);
  uj_waitq_init(&q);
}

static void cancel_self(struct fake_job *job)
{
  uj_job_cancel(&job->job);
}

static void wake_one(struct fake_job *job)
{
  (void)job;
  uj_waitq_wake_one(&q);
}

static void serves_in_order(void)
{
  struct fake_job *a, *b;
  init();
  CHECK(uj_waitq_first(&q) == NULL);
  CHECK(uj_waitq_wake_one(&q) == NULL);
  a = SPAWNED(&f, "a", PARK(&q));
  b = SPAWNED(&f, "b", PARK(&q));
  SPAWNED(&f, "c", PARK(&q));
  fake_turn(&f);
  CHECK(uj_waitq_first(&q) == &a->job);
  CHECK(uj_waitq_wake_one(&q) == &a->job);
  CHECK(uj_waitq_wake_one(&q) == &b->job);
  fake_settle(&f);
  LOG(&f, "a b c a:ok a=done b:ok b=done");
  CHECK(!uj_waitq_empty(&q));
  fake_term(&f);
}

static void wakes_all_in_order(void)
{
  init();
  SPAWNED(&f, "a", PARK(&q));
  SPAWNED(&f, "b", PARK(&q), PARK(&q));
  SPAWNED(&f, "c", PARK(&q));
  fake_turn(&f);
  uj_waitq_wake_all(&q);
  CHECK(uj_waitq_empty(&q));
  uj_waitq_wake_all(&q);
  fake_settle(&f);
  LOG(&f, "a b c a:ok a=done b:ok c:ok c=done");
  CHECK(!uj_waitq_empty(&q)); /* b has begun to wait again */
  fake_term(&f);
}

static void wakes_once(void)
{
  struct fake_job *a;
  init();
  a = SPAWNED(&f, "a", PARK(&q), PARK(NULL));
  fake_turn(&f);
  uj_waitq_wake_one(&q);
  uj_waitq_wake_all(&q);
  uj_job_wake(&a->job, UJ_WAKE_CLOSED);
  fake_settle(&f);
  LOG(&f, "a a:ok");
  fake_term(&f);
}

static void cancelled_waiter_takes_nothing(void)
{
  struct fake_job *a, *b;
  init();
  a = SPAWNED(&f, "a", PARK(&q));
  b = SPAWNED(&f, "b", PARK(&q));
  fake_turn(&f);
  uj_job_cancel(&a->job);
  CHECK(uj_waitq_first(&q) == &b->job);
  CHECK(b->job.place == UJ_AT_WAIT);
  CHECK(uj_waitq_wake_one(&q) == &b->job);
  fake_settle(&f);
  LOG(&f, "a b a:cancelled a=done b:ok b=done");
  fake_term(&f);
}

static void timed_out_waiter_takes_nothing(void)
{
  struct fake_job *b;
  init();
  SPAWNED(&f, "a", PARK_UNTIL(&q, f.now_ns + 5 * MS));
  b = SPAWNED(&f, "b", PARK_UNTIL(&q, f.now_ns + 6 * MS));
  fake_turn(&f);
  fake_advance(&f, 5 * MS - 1);
  LOG(&f, "a b");
  fake_advance(&f, 1);
  LOG(&f, "a:timeout a=done");
  CHECK(uj_waitq_wake_one(&q) == &b->job);
  CHECK_EQ(uj_timers_check(&f.loop.timers), 0);
  fake_settle(&f);
  LOG(&f, "b:ok b=done");
  fake_term(&f);
}

/* x runs before a, whose wait has timed out and which has not run since. */
static void timed_out_in_this_turn_takes_nothing(void)
{
  init();
  SPAWNED(&f, "x", SLEEP(5 * MS), CALL(wake_one));
  SPAWNED(&f, "a", PARK_UNTIL(&q, f.now_ns + 5 * MS));
  SPAWNED(&f, "b", PARK(&q));
  fake_turn(&f);
  fake_advance(&f, 5 * MS);
  fake_settle(&f);
  LOG(&f, "x a b x:timeout x=done a:timeout a=done b:ok b=done");
  fake_term(&f);
}

static void killed_waiter_takes_nothing(void)
{
  struct fake_job *a;
  init();
  a = SPAWNED(&f, "a", PARK(&q));
  SPAWNED(&f, "b", PARK(&q));
  a->job.protect = true;
  fake_turn(&f);
  uj_job_close(&a->job, 5 * MS);
  fake_advance(&f, 5 * MS);
  uj_waitq_wake_one(&q);
  fake_settle(&f);
  LOG(&f, "a b a! a=killed b:ok b=done");
  fake_term(&f);
}

static void woken_stays_woken(void)
{
  struct fake_job *a;
  init();
  a = SPAWNED(&f, "a", PARK_UNTIL(&q, f.now_ns + 5 * MS), PARK(&q));
  fake_turn(&f);
  uj_waitq_wake_one(&q);
  uj_job_close(&a->job, 50 * MS);
  fake_advance(&f, 10 * MS);
  LOG(&f, "a a:ok");
  fake_settle(&f);
  LOG(&f, "a:cancelled a=done");
  fake_term(&f);
}

static void closed_stays_closed(void)
{
  struct fake_job *a;
  init();
  a = SPAWNED(&f, "a", PARK(&q), YIELD);
  fake_turn(&f);
  uj_job_wake(&a->job, UJ_WAKE_CLOSED);
  uj_job_cancel(&a->job);
  fake_settle(&f);
  LOG(&f, "a a:closed a:cancelled a=done");
  fake_term(&f);
}

static void protected_waiter_keeps_its_place(void)
{
  struct fake_job *a;
  init();
  a = SPAWNED(&f, "a", PARK(&q));
  a->job.protect = true;
  SPAWNED(&f, "b", PARK(&q));
  fake_turn(&f);
  uj_job_cancel(&a->job);
  CHECK(uj_waitq_wake_one(&q) == &a->job);
  fake_settle(&f);
  LOG(&f, "a b a:ok a=done");
  fake_term(&f);
}

static void interrupted_job_never_waits(void)
{
  init();
  SPAWNED(&f, "a", CALL(cancel_self), PARK(&q));
  SPAWNED(&f, "b", PARK(&q));
  fake_turn(&f);
  uj_waitq_wake_one(&q);
  fake_settle(&f);
  LOG(&f, "a b a:cancelled a=done b:ok b=done");
  fake_term(&f);
}

static void event_wakes_all(void)
{
  struct uj_event event;
  fake_init(&f);
  uj_event_init(&event);
  CHECK(!event.is_set);
  SPAWNED(&f, "a", PARK(&event.waiters));
  SPAWNED(&f, "b", PARK(&event.waiters));
  fake_turn(&f);
  uj_event_set(&event);
  CHECK(event.is_set && uj_waitq_empty(&event.waiters));
  uj_event_clear(&event);
  CHECK(!event.is_set);
  fake_settle(&f);
  LOG(&f, "a b a:ok a=done b:ok b=done");
  fake_term(&f);
}

int main(void)
{
  static const struct check_test tests[] = {
      {"serves first come, first served", serves_in_order},
      {"wakes all waiters in order, and not who comes after",
       wakes_all_in_order},
      {"wakes a waiter once #M4", wakes_once},
      {"a cancelled waiter takes no wake-up and wakes nobody #M6",
       cancelled_waiter_takes_nothing},
      {"a waiter that timed out takes no wake-up #M6",
       timed_out_waiter_takes_nothing},
      {"a waiter that timed out but has not run yet takes no wake-up #M6",
       timed_out_in_this_turn_takes_nothing},
      {"a killed waiter takes no wake-up #M6", killed_waiter_takes_nothing},
      {"cancelling does not take back a wake-up #M6", woken_stays_woken},
      {"cancelling does not hide that the thing was closed",
       closed_stays_closed},
      {"a protected waiter keeps its place when cancelled",
       protected_waiter_keeps_its_place},
      {"a job that is interrupted never enters the queue",
       interrupted_job_never_waits},
      {"setting an event wakes all its waiters", event_wakes_all},
  };
  return CHECK_RUN(tests);
}
