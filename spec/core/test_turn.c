/* core/turn.h, core/loop.h: what a turn runs, and when the next one is due. */
#include "check.h"

#include "fake_host.h"

static struct fake f;

static void spawn_z(struct fake_job *job)
{
  struct fake *fake = fake_of(job->job.sched->loop);
  SPAWNED(fake, "z", YIELD);
}

static void runs_what_was_ready(void)
{
  fake_init(&f);
  SPAWNED(&f, "a", CALL(spawn_z), YIELD);
  SPAWNED(&f, "b", YIELD, YIELD);
  fake_turn(&f);
  LOG(&f, "a b");
  fake_turn(&f);
  LOG(&f, "z a:ok a=done b:ok");
  fake_turn(&f);
  LOG(&f, "z:ok z=done b:ok b=done");
  fake_turn(&f);
  LOG(&f, "");
  fake_term(&f);
}

static void woken_runs_next_turn(void)
{
  struct fake_job *a;
  fake_init(&f);
  a = SPAWNED(&f, "a", YIELD);
  SPAWNED(&f, "b", PARK(&a->job.waiters));
  fake_turn(&f);
  fake_turn(&f);
  LOG(&f, "a b a:ok a=done");
  fake_turn(&f);
  LOG(&f, "b:ok b=done");
  fake_term(&f);
}

static void busy_jobs_starve_no_deadline(void)
{
  fake_init(&f);
  SPAWNED(&f, "a", YIELD, CALL(again));
  SPAWNED(&f, "s", SLEEP(2 * MS));
  fake_turn(&f);
  fake_advance(&f, MS);
  LOG(&f, "a s a:ok");
  fake_advance(&f, MS);
  LOG(&f, "a:ok s:timeout s=done");
  fake_term(&f);
}

static void a_turn_can_be_told_the_time(void)
{
  fake_init(&f);
  SPAWNED(&f, "a", YIELD, CALL(again));
  SPAWNED(&f, "s", SLEEP(2 * MS));
  fake_turn(&f);
  LOG(&f, "a s");
  f.now_ns += 2 * MS;
  f.loop.latest_ns = f.now_ns - 1; /* no timer is due: no clock is read */
  fake_turn(&f);
  LOG(&f, "a:ok");
  f.loop.latest_ns = f.now_ns;
  fake_turn(&f);
  LOG(&f, "a:ok s:timeout s=done");
  fake_term(&f);
}

/* The turn after that may begin later. */
static void it_is_told_for_one_turn(void)
{
  fake_init(&f);
  SPAWNED(&f, "a", YIELD, CALL(again));
  SPAWNED(&f, "s", SLEEP(2 * MS));
  fake_turn(&f);
  f.loop.latest_ns = f.now_ns;
  fake_turn(&f);
  LOG(&f, "a s a:ok");
  CHECK_EQ(f.loop.latest_ns, UJ_NEVER);
  fake_advance(&f, 2 * MS);
  LOG(&f, "a:ok s:timeout s=done");
  fake_term(&f);
}

/* The driver polls I/O up to `latest_ns`. What is due later waits for the next
 * turn. */
static void what_is_due_later_waits(void)
{
  fake_init(&f);
  SPAWNED(&f, "s", SLEEP(2 * MS));
  SPAWNED(&f, "t", SLEEP(3 * MS));
  fake_turn(&f);
  f.loop.latest_ns = f.now_ns + 2 * MS;
  f.now_ns += 5 * MS;
  fake_turn(&f);
  LOG(&f, "s t s:timeout s=done");
  fake_turn(&f);
  LOG(&f, "t:timeout t=done");
  fake_term(&f);
}

/* Timers that pass while a job holds the loop fire without that job. */
static void expiry_reads_the_clock(void)
{
  fake_init(&f);
  SPAWNED(&f, "s", SLEEP(2 * MS));
  fake_turn(&f);
  f.now_ns += 2 * MS;
  f.loop.latest_ns = 0;
  CHECK(uj_loop_expire(&f.loop));
  fake_turn(&f);
  LOG(&f, "s s:timeout s=done");
  fake_term(&f);
}

static void sleep_is_never_early(void)
{
  fake_init(&f);
  SPAWNED(&f, "c", SLEEP(3 * MS));
  SPAWNED(&f, "a", SLEEP(2 * MS));
  SPAWNED(&f, "b", SLEEP(2 * MS));
  SPAWNED(&f, "z", SLEEP(0));
  fake_turn(&f);
  CHECK_EQ(uj_loop_due(&f.loop), f.now_ns);
  fake_turn(&f);
  LOG(&f, "c a b z z:timeout z=done");
  fake_advance(&f, 2 * MS - 1);
  LOG(&f, "");
  fake_advance(&f, 1);
  LOG(&f, "a:timeout a=done b:timeout b=done");
  fake_advance(&f, 1000 * MS);
  LOG(&f, "c:timeout c=done");
  fake_term(&f);
}

static void late_turn_keeps_the_order(void)
{
  struct uj_waitq q;
  fake_init(&f);
  uj_waitq_init(&q);
  SPAWNED(&f, "c", SLEEP(3 * MS));
  SPAWNED(&f, "a", SLEEP(1 * MS));
  SPAWNED(&f, "b", SLEEP(2 * MS));
  SPAWNED(&f, "r", PARK(&q));
  fake_turn(&f);
  uj_waitq_wake_all(&q); /* so it is ready before timers fire */
  fake_advance(&f, 10 * MS);
  LOG(&f, "c a b r r:ok r=done a:timeout a=done b:timeout b=done "
          "c:timeout c=done");
  fake_term(&f);
}

static void due_is_the_next_turn(void)
{
  struct fake_job *a;
  uint64_t due_ns;
  fake_init(&f);
  CHECK(!uj_loop_ready(&f.loop));
  CHECK_EQ(uj_loop_due(&f.loop), UJ_NEVER);
  a = SPAWNED(&f, "a", SLEEP(7 * MS), PARK(NULL));
  due_ns = f.now_ns + 7 * MS;
  CHECK(uj_loop_ready(&f.loop));
  CHECK_EQ(uj_loop_due(&f.loop), 0);
  fake_turn(&f);
  CHECK_EQ(uj_loop_due(&f.loop), due_ns);
  fake_advance(&f, 7 * MS);
  CHECK_EQ(uj_loop_due(&f.loop), UJ_NEVER);
  uj_job_wake(&a->job, UJ_WAKE_OK);
  CHECK_EQ(uj_loop_due(&f.loop), 0);
  fake_turn(&f);
  LOG(&f, "a a:timeout a:ok a=done");
  fake_term(&f);
}

static void endless_waits_arm_nothing(void)
{
  fake_init(&f);
  SPAWNED(&f, "a", SLEEP(UJ_NEVER));
  SPAWNED(&f, "b", SLEEP(UJ_NEVER - f.now_ns));
  SPAWNED(&f, "c", SLEEP(UJ_NEVER - f.now_ns - 1));
  SPAWNED(&f, "d", PARK(NULL));
  fake_turn(&f);
  CHECK_EQ(uj_timers_check(&f.loop.timers), 1);
  CHECK_EQ(uj_loop_due(&f.loop), UJ_NEVER - 1);
  LOG(&f, "a b c d");
  fake_term(&f);
}

static void due_forgets_who_was_woken(void)
{
  struct fake_job *a, *b, *c;
  fake_init(&f);
  a = SPAWNED(&f, "a", SLEEP(1 * MS), PARK(NULL));
  b = SPAWNED(&f, "b", SLEEP(2 * MS), PARK(NULL));
  c = SPAWNED(&f, "c", CALL(protect), SLEEP(3 * MS));
  fake_turn(&f);
  CHECK_EQ(uj_loop_due(&f.loop), f.now_ns + 1 * MS);
  uj_job_wake(&a->job, UJ_WAKE_OK);
  fake_turn(&f);
  CHECK_EQ(uj_loop_due(&f.loop), f.now_ns + 2 * MS);
  uj_job_cancel(&b->job);
  fake_settle(&f);
  CHECK_EQ(uj_loop_due(&f.loop), f.now_ns + 3 * MS);
  uj_job_close(&c->job, 2 * MS);
  CHECK_EQ(uj_loop_due(&f.loop), f.now_ns + 2 * MS);
  uj_job_wake(&c->job, UJ_WAKE_OK);
  fake_settle(&f);
  CHECK_EQ(uj_loop_due(&f.loop), UJ_NEVER);
  LOG(&f, "a b c a:ok b:cancelled b:cancelled b=done c:ok c=done");
  fake_term(&f);
}

static void live_until_the_last_ended(void)
{
  struct uj_sched other;
  struct fake_job *pending;
  fake_init(&f);
  fake_sched_init(&f, &other, 1, 1);
  CHECK(!uj_loop_live(&f.loop));
  pending = fake_job_new(&f, &other, "b", (const struct act[FAKE_ACTS]){YIELD});
  fake_spawn(
      &f, fake_job_new(&f, &other, "a", (const struct act[FAKE_ACTS]){YIELD}));
  fake_spawn(&f, pending);
  CHECK_EQ(pending->job.state, UJ_JOB_PENDING);
  for (int turn = 0; turn < 4; turn++) {
    CHECK(uj_loop_live(&f.loop));
    fake_turn(&f);
  }
  CHECK(!uj_loop_live(&f.loop));
  LOG(&f, "a a:ok a=done b b:ok b=done");
  fake_term(&f);
  uj_sched_term(&other);
}

static void close_closes_every_scheduler(void)
{
  struct uj_sched other;
  fake_init(&f);
  fake_sched_init(&f, &other, 1, 1);
  SPAWNED(&f, "a", PARK(NULL));
  fake_spawn(&f, fake_job_new(&f, &other, "b",
                              (const struct act[FAKE_ACTS]){PARK(NULL)}));
  fake_turn(&f);
  fake_spawn(&f, fake_job_new(&f, &other, "c",
                              (const struct act[FAKE_ACTS]){PARK(NULL)}));
  uj_loop_close(&f.loop, UJ_NEVER);
  uj_loop_check(&f.loop);
  CHECK(f.sched.closed && other.closed);
  fake_settle(&f);
  LOG(&f, "a b c=cancelled a:cancelled a=done b:cancelled b=done");
  CHECK(!uj_loop_live(&f.loop));
  fake_term(&f);
  uj_sched_term(&other);
}

static void close_leaves_what_is_closed_in_turn(void)
{
  struct uj_sched other;
  fake_init(&f);
  fake_sched_init(&f, &other, 1, 1);
  other.in_turn = true;
  SPAWNED(&f, "a", PARK(NULL));
  fake_spawn(&f, fake_job_new(&f, &other, "b",
                              (const struct act[FAKE_ACTS]){PARK(NULL)}));
  fake_turn(&f);
  uj_loop_close(&f.loop, UJ_NEVER);
  uj_loop_close_open(&f.loop);
  CHECK(f.sched.closed && !other.closed);
  fake_settle(&f);
  uj_sched_close(&other, NULL);
  uj_loop_close(&f.loop, UJ_NEVER);
  fake_settle(&f);
  LOG(&f, "a b a:cancelled a=done b:cancelled b=done");
  CHECK(!uj_loop_live(&f.loop));
  fake_term(&f);
  uj_sched_term(&other);
}

static void ids_rise(void)
{
  uint64_t last;
  fake_init(&f);
  last = SPAWNED(&f, "a", YIELD)->job.id;
  for (int i = 0; i < 10; i++) {
    uint64_t id = SPAWNED(&f, "b", YIELD)->job.id;
    CHECK_EQ(id, last + 1);
    last = id;
    fake_settle(&f);
  }
  fake_term(&f);
}

static void clock_sums_saturate(void)
{
  CHECK_EQ(uj_clock_add(1, 2), 3);
  CHECK_EQ(uj_clock_add(UJ_NEVER - 1, 1), UJ_NEVER);
  CHECK_EQ(uj_clock_add(UJ_NEVER - 1, 2), UJ_NEVER);
  CHECK_EQ(uj_clock_add(UJ_NEVER, UJ_NEVER), UJ_NEVER);
  CHECK_EQ(uj_clock_add(0, UJ_NEVER), UJ_NEVER);
  CHECK_EQ(uj_clock_min(4, UJ_NEVER), 4);
  CHECK_EQ(uj_clock_min(5, 4), 4);
}

int main(void)
{
  static const struct check_test tests[] = {
      {"a turn runs what was ready when it began #M11", runs_what_was_ready},
      {"a job that is woken runs on the next turn #M11", woken_runs_next_turn},
      {"busy jobs starve no deadline #M11", busy_jobs_starve_no_deadline},
      {"takes no deadline for passed that cannot have, as it is told",
       a_turn_can_be_told_the_time},
      {"is told the time for one turn", it_is_told_for_one_turn},
      {"what is due after the time that it is told has its turn later",
       what_is_due_later_waits},
      {"looks at the clock for a job that holds it", expiry_reads_the_clock},
      {"a sleep is never early, equal ones end in order #M10",
       sleep_is_never_early},
      {"a late turn lets the deadlines pass in their order #M10",
       late_turn_keeps_the_order},
      {"tells when the next turn is due", due_is_the_next_turn},
      {"a job that is woken early brings no turn", due_forgets_who_was_woken},
      {"waits without an end arm no timer", endless_waits_arm_nothing},
      {"is live until the last job ended", live_until_the_last_ended},
      {"closing it closes every scheduler", close_closes_every_scheduler},
      {"closing it closes every scheduler",
       close_leaves_what_is_closed_in_turn},
      {"job ids rise", ids_rise},
      {"sums of times saturate", clock_sums_saturate},
  };
  return CHECK_RUN(tests);
}
