/* core/ranks.h: letting jobs into a scheduler with an order. The lines
 * themselves are in test_lineup.c, and spec/priorities plays with all of it. */
#include "check.h"

#include "fake_host.h"

enum { KEYS = 3 };

static struct fake f;
static struct uj_order order;
static struct uj_order_ages ages;
static struct uj_group keys[KEYS];
static struct uj_lane blocked[KEYS];

static void begin(uint64_t limit, uint64_t pending_limit)
{
  fake_init_limits(&f, limit, pending_limit);
  uj_order_init(&order, NULL, 1, false);
  uj_sched_set_order(&f.sched, &order);
  for (int i = 0; i < KEYS; i++) {
    uj_group_init(&order, &keys[i]);
    uj_group_set_blocked(&order, &keys[i], &blocked[i]);
  }
}

static void end(void)
{
  uj_loop_check(&f.loop);
  fake_term(&f);
  for (int i = 0; i < KEYS; i++)
    uj_group_term(&keys[i]);
  CHECK_EQ(f.loop.bells.count, 0);
  CHECK(!uj_timer_armed(&f.loop.bell));
}

/* A job that waits until it is woken. `key` is -1 for none. */
static struct fake_job *make(const char *name, unsigned priority, int key)
{
  struct fake_job *job = JOB(&f, name, PARK(NULL));
  job->job.ranked = true;
  uj_rank_init(&order, &job->rank, priority, key < 0 ? NULL : &keys[key],
               false);
  return job;
}

static struct fake_job *spawn(const char *name, unsigned priority, int key)
{
  struct fake_job *job = make(name, priority, key);
  CHECK_EQ(uj_sched_spawn(&f.sched, &job->job), UJ_OK);
  uj_loop_check(&f.loop);
  return job;
}

static void finish(struct fake_job *job)
{
  uj_job_wake(&job->job, UJ_WAKE_OK);
  fake_turn(&f);
}

static void the_most_urgent_is_next(void)
{
  struct fake_job *a;
  begin(1, 9);
  a = spawn("a", 9, -1);
  spawn("b", 5, -1);
  spawn("c", 5, 0);
  spawn("d", 0, 1);
  fake_turn(&f);
  finish(a);
  fake_turn(&f);
  LOG(&f, "a a:ok a=done d");
  end();
}

static void those_without_a_rank_came_first(void)
{
  struct fake_job *a;
  fake_init_limits(&f, 1, 9);
  a = SPAWNED(&f, "a", PARK(NULL));
  SPAWNED(&f, "b", END(DONE));
  SPAWNED(&f, "c", END(DONE));
  uj_order_init(&order, NULL, 1, false);
  uj_sched_set_order(&f.sched, &order);
  for (int i = 0; i < KEYS; i++)
    uj_group_init(&order, &keys[i]);
  spawn("d", 5, -1);
  spawn("e", 4, -1)->acts[0] = END(DONE);
  spawn("g", 6, -1);
  fake_turn(&f);
  finish(a);
  fake_settle(&f);
  LOG(&f, "a a:ok a=done e e=done b b=done c c=done d");
  end();
}

static void a_key_at_its_limit_is_passed_by(void)
{
  struct fake_job *a;
  begin(3, 9);
  uj_sched_set_key_limit(&f.sched, 1);
  a = spawn("a", 5, 0);
  CHECK_EQ(spawn("b", 0, 0)->job.state, UJ_JOB_PENDING);
  CHECK_EQ(spawn("c", 9, 1)->job.state, UJ_JOB_ACTIVE);
  CHECK_EQ(spawn("d", 9, -1)->job.state, UJ_JOB_ACTIVE);
  fake_turn(&f);
  finish(a);
  fake_turn(&f);
  LOG(&f, "a c d a:ok a=done b");
  CHECK_EQ(keys[0].nactive, 1);
  end();
}

static void a_limit_that_is_raised_lets_in_at_once(void)
{
  struct fake_job *b;
  begin(9, 9);
  uj_sched_set_key_limit(&f.sched, 1);
  spawn("a", 5, 0);
  b = spawn("b", 5, 0);
  uj_sched_set_key_limit(&f.sched, UJ_UNLIMITED);
  CHECK_EQ(b->job.state, UJ_JOB_ACTIVE);
  CHECK_EQ(keys[0].nactive, 2);
  end();
}

static void one_that_may_start_needs_no_place(void)
{
  struct fake_job *full;
  begin(2, 1);
  uj_sched_set_key_limit(&f.sched, 1);
  spawn("a", 5, 0);
  spawn("b", 5, 0);
  full = make("c", 5, 0);
  CHECK_EQ(uj_sched_room(&f.sched), UJ_OK); /* for another key */
  CHECK_EQ(uj_sched_spawn(&f.sched, &full->job), UJ_EFULL);
  CHECK_EQ(full->job.state, UJ_JOB_NEW);
  free(full);
  CHECK_EQ(spawn("d", 5, 1)->job.state, UJ_JOB_ACTIVE);
  CHECK_EQ(uj_sched_room(&f.sched), UJ_EFULL);
  end();
}

static void the_rate_waits_for_its_bell(void)
{
  begin(9, 9);
  uj_sched_set_rate(&f.sched, 100, 1);
  spawn("a", 5, -1);
  spawn("b", 5, -1);
  spawn("c", 1, -1);
  fake_turn(&f);
  LOG(&f, "a");
  CHECK_EQ(uj_loop_due(&f.loop), f.now_ns + 10 * MS);
  fake_advance(&f, 10 * MS);
  LOG(&f, "c");
  fake_advance(&f, 10 * MS - 1);
  LOG(&f, "");
  fake_advance(&f, 1);
  LOG(&f, "b");
  CHECK_EQ(uj_loop_due(&f.loop), UJ_NEVER);
  end();
}

static void one_that_does_not_start_takes_nothing(void)
{
  struct fake_job *a;
  begin(9, 9);
  uj_sched_set_rate(&f.sched, 100, 1);
  a = spawn("a", 5, -1);
  CHECK_EQ(spawn("b", 5, -1)->job.state, UJ_JOB_PENDING);
  uj_job_cancel(&a->job);
  CHECK_EQ(order.nstarting, 1);
  fake_turn(&f);
  LOG(&f, "a=cancelled b");
  CHECK_EQ(order.nstarting, 0);
  end();
}

/* Between the slot and the start the loop may be held: it is the start that
 * counts. */
static void a_late_start_is_charged_late(void)
{
  begin(9, 9);
  uj_sched_set_rate(&f.sched, 100, 1);
  spawn("a", 5, -1);
  f.now_ns += 50 * MS;
  CHECK_EQ(spawn("b", 5, -1)->job.state, UJ_JOB_PENDING);
  fake_turn(&f);
  LOG(&f, "a");
  CHECK_EQ(uj_loop_due(&f.loop), f.now_ns + 10 * MS);
  end();
}

static void a_bell_rings_while_a_job_holds_the_loop(void)
{
  struct fake_job *b;
  begin(9, 9);
  uj_sched_set_rate(&f.sched, 100, 1);
  spawn("a", 5, -1);
  b = spawn("b", 5, -1);
  fake_turn(&f);
  f.now_ns += 30 * MS;
  CHECK(uj_loop_expire(&f.loop));
  CHECK_EQ(b->job.state, UJ_JOB_ACTIVE);
  end();
}

static void nobody_waits_for_a_bell_in_vain(void)
{
  struct fake_job *b;
  begin(9, 9);
  uj_sched_set_rate(&f.sched, 100, 1);
  spawn("a", 5, -1);
  b = spawn("b", 5, -1);
  fake_turn(&f);
  CHECK(uj_timer_armed(&f.loop.bell));
  uj_sched_pause(&f.sched);
  CHECK(!uj_timer_armed(&f.loop.bell));
  uj_sched_resume(&f.sched);
  CHECK(uj_timer_armed(&f.loop.bell));
  uj_job_cancel(&b->job);
  CHECK(!uj_timer_armed(&f.loop.bell));
  spawn("c", 5, -1);
  CHECK(uj_timer_armed(&f.loop.bell));
  uj_sched_close(&f.sched, NULL);
  CHECK(!uj_timer_armed(&f.loop.bell));
  end();
}

/* Dropping one of those that are pending must not start another. */
static void a_scheduler_that_closes_starts_nobody(void)
{
  begin(9, 9);
  uj_sched_set_key_limit(&f.sched, 1);
  uj_sched_set_rate(&f.sched, 100, 1);
  spawn("a", 5, 0);
  spawn("b", 5, 0);
  spawn("c", 5, 1);
  fake_turn(&f);
  f.now_ns += 50 * MS;
  uj_sched_close(&f.sched, NULL);
  fake_turn(&f);
  LOG(&f, "a b=cancelled c=cancelled a:cancelled a=done");
  end();
}

static void aging_follows_the_clock(void)
{
  struct fake_job *a;
  begin(1, 9);
  uj_order_init(&order, &ages, 10 * MS, false);
  order.sched = &f.sched;
  for (int i = 0; i < KEYS; i++)
    uj_group_init(&order, &keys[i]);
  a = spawn("a", 5, -1);
  spawn("b", 7, -1);
  fake_turn(&f);
  fake_advance(&f, 20 * MS);
  spawn("c", 5, -1);
  finish(a);
  fake_turn(&f);
  LOG(&f, "a a:ok a=done b");
  end();
}

int main(void)
{
  static const struct check_test tests[] = {
      {"the most urgent is next, #P14", the_most_urgent_is_next},
      {"jobs without a rank came before all others",
       those_without_a_rank_came_first},
      {"a key at its limit is passed by, #P16",
       a_key_at_its_limit_is_passed_by},
      {"a key limit that is raised lets in at once, #P17",
       a_limit_that_is_raised_lets_in_at_once},
      {"a job that may start needs no place in the pending queue",
       one_that_may_start_needs_no_place},
      {"jobs wait for the rate until the bell rings",
       the_rate_waits_for_its_bell},
      {"a job that ends before it starts takes nothing, #P7",
       one_that_does_not_start_takes_nothing},
      {"the rate counts the start and not the slot, #P6",
       a_late_start_is_charged_late},
      {"the bell rings while a job holds the loop",
       a_bell_rings_while_a_job_holds_the_loop},
      {"nobody waits for a bell in vain", nobody_waits_for_a_bell_in_vain},
      {"a scheduler that closes starts nobody, #M9",
       a_scheduler_that_closes_starts_nobody},
      {"aging follows the clock, #P15", aging_follows_the_clock},
  };
  return CHECK_RUN(tests);
}
