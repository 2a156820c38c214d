/* core/admit.h: spawners that wait for room. */
#include "check.h"

#include "small.h"

static void end(struct fake_job *job)
{
  uj_job_wake(&job->job, UJ_WAKE_OK);
}

static void cancel_self(struct fake_job *job)
{
  uj_job_cancel(&job->job);
}

static void admits_blocked_in_order(void)
{
  struct fake_job *o, *p;
  init(1, 1);
  o = occupy("o");
  p = occupy("p");
  SPAWNED(&f, "a", SPAWN(&small, "x"), SPAWN(&small, "z"));
  SPAWNED(&f, "b", SPAWN(&small, "y"));
  fake_turn(&f);
  CHECK_EQ(uj_waitq_empty(&o->job.waiters), true);
  LOG(&f, "o a b");
  end(o);
  fake_turn(&f);
  LOG(&f, "o:ok o=done");
  CHECK_EQ(small.npending, 1);
  fake_turn(&f); /* a is admitted, and blocks again behind b */
  LOG(&f, "p a:ok");
  end(p);
  fake_settle(&f);
  LOG(&f, "p:ok p=done x x=done b:ok b=done y y=done a:ok a=done z z=done");
  term();
}

static void admits_blocked_when_a_pending_job_is_dropped(void)
{
  struct fake_job *p;
  init(1, 1);
  occupy("o");
  p = occupy("p");
  SPAWNED(&f, "a", SPAWN(&small, "x"));
  SPAWNED(&f, "b", SPAWN(&small, "y"));
  fake_turn(&f);
  uj_job_cancel(&p->job);
  uj_loop_check(&f.loop);
  CHECK_EQ(small.npending, 1);
  fake_settle(&f);
  LOG(&f, "o a b p=cancelled a:ok a=done");
  term();
}

static void admits_blocked_without_a_queue(void)
{
  struct fake_job *o;
  init(1, 0);
  o = occupy("o");
  SPAWNED(&f, "a", SPAWN(&small, "x"));
  SPAWNED(&f, "b", SPAWN(&small, "y"));
  fake_turn(&f);
  end(o);
  fake_settle(&f);
  LOG(&f, "o a b o:ok o=done x x=done a:ok a=done y y=done b:ok b=done");
  term();
}

static void is_not_idle_while_somebody_is_blocked(void)
{
  struct fake_job *o;
  init(1, 0);
  o = occupy("o");
  SPAWNED(&f, "a", SPAWN(&small, "x"));
  SPAWNED(&f, "w", PARK(&small.idle));
  fake_turn(&f);
  end(o);
  fake_settle(&f);
  LOG(&f, "o a w o:ok o=done x x=done a:ok a=done w:ok w=done");
  term();
}

static void a_blocked_child_is_new(void)
{
  struct fake_job *a;
  init(1, 0);
  occupy("o");
  a = SPAWNED(&f, "a", SPAWN(&small, "x"));
  fake_turn(&f);
  CHECK_EQ(a->job.op, UJ_OP_SPAWN);
  CHECK(a->job.target == &a->child->job);
  CHECK_EQ(a->child->job.state, UJ_JOB_NEW);
  CHECK_EQ(a->child->job.place, UJ_AT_BLOCKED);
  CHECK_EQ(small.nlive, 1);
  term();
}

static void a_cancelled_spawner_takes_its_job_back(void)
{
  struct fake_job *o, *a;
  init(1, 0);
  o = occupy("o");
  a = SPAWNED(&f, "a", SPAWN(&small, "x"));
  SPAWNED(&f, "b", SPAWN(&small, "y"));
  fake_turn(&f);
  uj_job_cancel(&a->job);
  uj_loop_check(&f.loop);
  end(o);
  fake_settle(&f);
  LOG(&f,
      "o a b x=cancelled a:cancelled a=done o:ok o=done y y=done b:ok b=done");
  term();
}

static void a_late_spawner_takes_its_job_back(void)
{
  struct fake_job *a, *b;
  init(1, 0);
  occupy("o");
  a = JOB(&f, "a", SPAWN(&small, "x"));
  a->job.deadline_ns = 5 * MS;
  fake_spawn(&f, a);
  b = SPAWNED(&f, "b", CALL(protect), SPAWN(&small, "y"));
  fake_turn(&f);
  uj_job_close(&b->job, 6 * MS);
  fake_advance(&f, 5 * MS);
  LOG(&f, "o a b x=cancelled a:deadline a=done");
  fake_advance(&f, MS);
  LOG(&f, "y=cancelled b! b=killed");
  CHECK(uj_link_empty(&small.blocked));
  term();
}

static void an_admitted_spawner_keeps_its_job(void)
{
  struct fake_job *o, *a;
  init(1, 0);
  o = occupy("o");
  a = SPAWNED(&f, "a", SPAWN(&small, "x"));
  fake_turn(&f);
  end(o);
  fake_turn(&f);
  uj_job_cancel(&a->job);
  fake_settle(&f);
  LOG(&f, "o a o:ok o=done x x=done a:ok a=done");
  term();
}

static void an_interrupted_spawner_never_blocks(void)
{
  init(1, 0);
  occupy("o");
  SPAWNED(&f, "a", CALL(cancel_self), SPAWN(&small, "x"));
  fake_turn(&f);
  CHECK(uj_link_empty(&small.blocked));
  fake_settle(&f);
  LOG(&f, "o a x=cancelled a:cancelled a=done");
  term();
}

#ifdef UJ_DEBUG
static void check_small(void *arg)
{
  (void)arg;
  uj_sched_check(&small);
}

static void block(void *spawner)
{
  struct fake_job *child = JOB(&f, "z", YIELD);
  child->job.sched = &small;
  uj_sched_block(&small, &child->job, spawner);
}

static void try_to_block(struct fake_job *job)
{
  CHECK(!check_aborts(block, &job->job));
  small.slots++; /* there is a free slot, and no place in the queue */
  CHECK(check_aborts(block, &job->job));
  small.slots--;
  small.pending_limit++; /* there is a place in the queue */
  CHECK(check_aborts(block, &job->job));
  small.pending_limit--;
}

static void nobody_is_blocked_while_there_is_room(void)
{
  init(1, 0);
  occupy("o");
  SPAWNED(&f, "a", CALL(try_to_block), SPAWN(&small, "x"));
  fake_turn(&f);
  CHECK(!uj_link_empty(&small.blocked));
  CHECK(!check_aborts(check_small, NULL));
  small.limit++;
  CHECK(check_aborts(check_small, NULL));
  small.limit--;
  small.pending_limit++;
  CHECK(check_aborts(check_small, NULL));
  small.pending_limit--;
  term();
}
#endif

int main(void)
{
  static const struct check_test tests[] = {
      {"admits blocked spawners in order", admits_blocked_in_order},
      {"admits a blocked spawner when a pending job is dropped",
       admits_blocked_when_a_pending_job_is_dropped},
      {"admits blocked spawners into slots when it has no queue",
       admits_blocked_without_a_queue},
      {"is not idle when a job ends while spawners are blocked",
       is_not_idle_while_somebody_is_blocked},
      {"a job whose spawner is blocked is new and does not count",
       a_blocked_child_is_new},
      {"a spawner that is cancelled takes its job back #M6",
       a_cancelled_spawner_takes_its_job_back},
      {"a spawner whose time passed takes its job back #M6",
       a_late_spawner_takes_its_job_back},
      {"a spawner that was admitted keeps its job when cancelled #M6",
       an_admitted_spawner_keeps_its_job},
      {"a spawner that is interrupted never blocks",
       an_interrupted_spawner_never_blocks},
#ifdef UJ_DEBUG
      {"nobody is blocked while there is room #M3",
       nobody_is_blocked_while_there_is_room},
#endif
  };
  return CHECK_RUN(tests);
}
