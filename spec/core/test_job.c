/* core/job.h: a job's life. What interrupts it is in test_end.c. */
#include "check.h"

#include "fake_host.h"

static struct fake f;

/* For each state the initials of the states that may follow: Pending, Active,
 * cLosing, Done, Failed, Cancelled, Killed. */
static bool is_legal(enum uj_job_state from, enum uj_job_state to)
{
  static const char *const next[] = {"PAC", "AC", "LDFCK", "DFCK",
                                     "",    "",   "",      ""};
  return strchr(next[from], "NPALDFCK"[to]) != NULL;
}

struct change {
  enum uj_job_state from, to;
};

static void make_change(void *arg)
{
  const struct change *change = arg;
  struct uj_job job;
  uj_job_init(&job, &f.sched);
  job.state = (uint8_t)change->from;
  uj_job_move(&job, change->to);
  CHECK_EQ(job.state, change->to);
}

static void check_change(enum uj_job_state from, enum uj_job_state to)
{
  struct change change = {from, to};
  if (is_legal(from, to))
    make_change(&change);
#ifdef UJ_DEBUG
  else if (!check_aborts(make_change, &change))
    CHECK_EQ(from * 10 + to, UINT64_MAX); /* the output names the transition */
#endif
}

static void changes_state_as_it_may(void)
{
  fake_init(&f);
  for (enum uj_job_state from = UJ_JOB_NEW; from <= UJ_JOB_KILLED; from++)
    for (enum uj_job_state to = UJ_JOB_NEW; to <= UJ_JOB_KILLED; to++)
      check_change(from, to);
  fake_term(&f);
}

static void starts_as_new(void)
{
  struct fake_job *a;
  fake_init(&f);
  a = JOB(&f, "a", YIELD);
  CHECK_EQ(a->job.state, UJ_JOB_NEW);
  CHECK_EQ(a->job.place, UJ_AT_NONE);
  CHECK(!uj_job_ended(&a->job));
  CHECK(!a->job.started && !a->job.cancel && !a->job.protect);
  CHECK_EQ(uj_job_interrupted(&a->job), UJ_WAKE_OK);
  CHECK_EQ(a->job.deadline_ns, UJ_NEVER);
  CHECK_EQ(a->job.kill_ns, UJ_NEVER);
  free(a);
  fake_term(&f);
}

static void starts_on_a_later_turn(void)
{
  struct fake_job *a;
  fake_init(&f);
  a = SPAWNED(&f, "a", PARK(NULL));
  SPAWNED(&f, "b", PARK(NULL));
  SPAWNED(&f, "c", PARK(NULL));
  CHECK_EQ(a->job.state, UJ_JOB_ACTIVE);
  CHECK_EQ(a->job.place, UJ_AT_READY);
  CHECK(!a->job.started);
  LOG(&f, "");
  fake_turn(&f);
  CHECK(a->job.started);
  CHECK_EQ(a->job.place, UJ_AT_WAIT);
  CHECK_EQ(a->job.op, UJ_OP_HOST);
  LOG(&f, "a b c");
  fake_term(&f);
}

static void ends_in_the_state_it_returns(void)
{
  fake_init(&f);
  SPAWNED(&f, "a", END(DONE));
  SPAWNED(&f, "b", END(FAILED));
  SPAWNED(&f, "c", END(CANCELLED));
  fake_turn(&f);
  LOG(&f, "a a=done b b=failed c c=cancelled");
  CHECK(!uj_loop_ready(&f.loop));
  fake_term(&f);
}

static void closing_ends_in_any_state(void)
{
  struct fake_job *jobs[3];
  fake_init(&f);
  jobs[0] = SPAWNED(&f, "a", PARK(NULL), END(DONE));
  jobs[1] = SPAWNED(&f, "b", PARK(NULL), END(FAILED));
  jobs[2] = SPAWNED(&f, "c", PARK(NULL), END(CANCELLED));
  fake_turn(&f);
  for (int i = 0; i < 3; i++) {
    uj_job_cancel(&jobs[i]->job);
    CHECK_EQ(jobs[i]->job.state, UJ_JOB_CLOSING);
  }
  fake_turn(&f);
  LOG(&f, "a b c a:cancelled a=done b:cancelled b=failed c:cancelled "
          "c=cancelled");
  fake_term(&f);
}

static void yields_to_the_others(void)
{
  fake_init(&f);
  SPAWNED(&f, "a", YIELD, YIELD);
  SPAWNED(&f, "b", YIELD, YIELD);
  fake_settle(&f);
  LOG(&f, "a b a:ok b:ok a:ok a=done b:ok b=done");
  fake_term(&f);
}

static void wakes_who_waits_for_its_end(void)
{
  struct fake_job *a;
  fake_init(&f);
  a = SPAWNED(&f, "a", PARK(NULL), END(FAILED));
  SPAWNED(&f, "b", PARK(&a->job.waiters), PARK(NULL));
  SPAWNED(&f, "c", PARK_UNTIL(&a->job.waiters, f.now_ns + MS));
  SPAWNED(&f, "d", PARK(&a->job.waiters));
  fake_turn(&f);
  fake_advance(&f, MS);
  LOG(&f, "a b c d c:timeout c=done");
  uj_job_wake(&a->job, UJ_WAKE_OK);
  fake_settle(&f);
  LOG(&f, "a:ok a=failed b:ok d:ok d=done");
  fake_term(&f);
}

static struct fake_job *watch(struct uj_sched *sched, const char *name,
                              struct fake_job *watched)
{
  const struct act acts[FAKE_ACTS] = {PARK(&watched->job.waiters)};
  return fake_spawn(&f, fake_job_new(&f, sched, name, acts));
}

static void every_end_wakes_its_waiters(void)
{
  struct uj_sched watchers;
  struct fake_job *killed, *pending;
  fake_init_limits(&f, 2, 5);
  fake_sched_init(&f, &watchers, UJ_UNLIMITED, 0);
  killed = SPAWNED(&f, "k", PARK(NULL));
  killed->job.protect = true;
  watch(&watchers, "a", SPAWNED(&f, "d", YIELD));
  watch(&watchers, "b", killed);
  pending = SPAWNED(&f, "p", YIELD);
  watch(&watchers, "c", pending);
  fake_turn(&f);
  LOG(&f, "k d a b c");
  uj_job_cancel(&pending->job);
  uj_job_close(&killed->job, 5 * MS);
  fake_settle(&f);
  LOG(&f, "p=cancelled d:ok d=done c:ok c=done a:ok a=done");
  fake_advance(&f, 5 * MS);
  fake_turn(&f);
  LOG(&f, "k! k=killed b:ok b=done");
  fake_term(&f);
  uj_sched_term(&watchers);
}

/* To wake a job that does not wait changes nothing. */
static void wakes_only_what_is_parked(void)
{
  struct fake_job *a;
  fake_init(&f);
  a = JOB(&f, "a", PARK(NULL), YIELD);
  uj_job_wake(&a->job, UJ_WAKE_OK);
  fake_spawn(&f, a);
  uj_job_wake(&a->job, UJ_WAKE_CLOSED);
  fake_turn(&f);
  LOG(&f, "a");
  uj_job_wake(&a->job, UJ_WAKE_OK);
  uj_job_wake(&a->job, UJ_WAKE_TIMEOUT);
  fake_turn(&f);
  LOG(&f, "a:ok");
  uj_job_wake(&a->job, UJ_WAKE_CLOSED);
  fake_turn(&f);
  LOG(&f, "a:ok a=done");
  fake_term(&f);
}

static void nothing_happens_after_the_end(void)
{
  struct fake_job *a;
  fake_init(&f);
  a = SPAWNED(&f, "a", PARK(NULL));
  a->kept = true;
  fake_turn(&f);
  uj_job_wake(&a->job, UJ_WAKE_OK);
  fake_turn(&f);
  CHECK_EQ(a->job.state, UJ_JOB_DONE);
  CHECK_EQ(a->job.place, UJ_AT_NONE);
  CHECK(uj_job_ended(&a->job));
  LOG(&f, "a a:ok a=done");
  uj_job_cancel(&a->job);
  uj_job_close(&a->job, 0);
  uj_job_wake(&a->job, UJ_WAKE_OK);
  CHECK_EQ(a->job.state, UJ_JOB_DONE);
  CHECK(!a->job.cancel);
  CHECK_EQ(a->job.kill_ns, UJ_NEVER);
  CHECK(!uj_loop_ready(&f.loop));
  fake_advance(&f, 1000 * MS);
  LOG(&f, "");
  free(a);
  fake_term(&f);
}

static void an_earlier_limit_is_disarmed(void)
{
  struct fake_job *a;
  fake_init(&f);
  a = SPAWNED(&f, "a", SLEEP(5 * MS), SLEEP(20 * MS));
  fake_turn(&f);
  uj_job_wake(&a->job, UJ_WAKE_OK);
  CHECK(!uj_timer_armed(&a->job.timer));
  fake_turn(&f);
  fake_advance(&f, 10 * MS);
  LOG(&f, "a a:ok");
  fake_advance(&f, 10 * MS);
  LOG(&f, "a:timeout a=done");
  fake_term(&f);
}

int main(void)
{
  static const struct check_test tests[] = {
      {"changes its state as it may and not otherwise",
       changes_state_as_it_may},
      {"is new until it is admitted", starts_as_new},
      {"starts on a later turn, in spawn order #M1", starts_on_a_later_turn},
      {"ends in the state that its run returned #M4",
       ends_in_the_state_it_returns},
      {"a job asked to end ends as it does #M4", closing_ends_in_any_state},
      {"gives way to the others", yields_to_the_others},
      {"wakes those who wait for its end, once and in order #M4",
       wakes_who_waits_for_its_end},
      {"wakes its waiters whatever its end is #M4",
       every_end_wakes_its_waiters},
      {"only a parked job can be woken", wakes_only_what_is_parked},
      {"nothing happens to a job that ended", nothing_happens_after_the_end},
      {"a wait that ended leaves no time limit behind",
       an_earlier_limit_is_disarmed},
  };
  return CHECK_RUN(tests);
}
