/* core/sched.h: blocked spawners, and closing. */
#include "check.h"

#include "fake_host.h"

static struct fake f;
static struct uj_sched small; /* f.sched is where spawners run */

static void init(uint64_t limit, uint64_t pending_limit)
{
  fake_init(&f);
  fake_sched_init(&f, &small, limit, pending_limit);
}

static void term(void)
{
  fake_term(&f);
  uj_sched_term(&small);
}

/* A job of the small scheduler that ends when it is woken. */
static struct fake_job *occupy(const char *name)
{
  const struct act acts[FAKE_ACTS] = {PARK(NULL)};
  return fake_spawn(&f, fake_job_new(&f, &small, name, acts));
}

static void end(struct fake_job *job)
{
  uj_job_wake(&job->job, UJ_WAKE_OK);
}

static void close_f(struct fake_job *job)
{
  uj_sched_close(&f.sched, &job->job);
  uj_loop_check(&f.loop);
}

static void cancel_self(struct fake_job *job)
{
  uj_job_cancel(&job->job);
}

static void protect(struct fake_job *job)
{
  job->job.protect = true;
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

static void close_tells_blocked_spawners(void)
{
  init(1, 1);
  occupy("o");
  occupy("p");
  SPAWNED(&f, "a", SPAWN(&small, "x"));
  SPAWNED(&f, "b", SPAWN(&small, "y"), SPAWN(&small, "z"));
  fake_turn(&f);
  LOG(&f, "o a b");
  uj_sched_close(&small, NULL);
  uj_loop_check(&f.loop);
  fake_settle(&f);
  LOG(&f, "x=cancelled y=cancelled p=cancelled a:closed a=done b:closed b-z "
          "b=done o:cancelled o=done");
  term();
}

/* Whatever else would end the wait of the spawner: its job ends once. */
static void close_tells_every_blocked_spawner(void)
{
  struct fake_job *a, *b, *c;
  init(1, 0);
  occupy("o");
  a = SPAWNED(&f, "a", CALL(protect), SPAWN(&small, "x"), YIELD);
  b = JOB(&f, "b", SPAWN(&small, "y"), PARK(NULL));
  b->job.deadline_ns = 5 * MS;
  fake_spawn(&f, b);
  c = SPAWNED(&f, "c", SPAWN(&small, "z"));
  fake_turn(&f);
  uj_job_close(&a->job, 5 * MS);
  LOG(&f, "o a b c");
  uj_sched_close(&small, NULL);
  LOG(&f, "x=cancelled y=cancelled z=cancelled");
  CHECK_EQ(a->job.wake, UJ_WAKE_CLOSED);
  CHECK_EQ(uj_timers_check(&f.loop.timers), 0);
  uj_job_cancel(&c->job); /* finds it ready: it was told already */
  uj_sched_close(&small, NULL);
  fake_advance(&f, 5 * MS);
  LOG(&f, "a:closed b:closed c:closed c=done o:cancelled o=done");
  fake_settle(&f);
  LOG(&f, "a! a=killed b:deadline b=done");
  term();
}

static void closed_admits_nothing(void)
{
  struct fake_job *job;
  fake_init(&f);
  uj_sched_close(&f.sched, NULL);
  CHECK(f.sched.closed);
  job = JOB(&f, "a", YIELD);
  CHECK_EQ(uj_sched_spawn(&f.sched, &job->job), UJ_ECLOSED);
  CHECK_EQ(uj_sched_shield(&f.sched, &job->job), UJ_ECLOSED);
  CHECK_EQ(job->job.state, UJ_JOB_NEW);
  CHECK(!uj_loop_live(&f.loop));
  free(job);
  fake_term(&f);
}

/* Neither the pending jobs nor those with a slot that did not start. */
static void close_runs_nothing_more(void)
{
  fake_init_limits(&f, 2, 9);
  SPAWNED(&f, "a", PARK(NULL));
  fake_turn(&f);
  SPAWNED(&f, "b", YIELD);
  SPAWNED(&f, "c", YIELD);
  SPAWNED(&f, "d", YIELD);
  uj_sched_close(&f.sched, NULL);
  uj_loop_check(&f.loop);
  CHECK_EQ(f.sched.nactive, 1);
  CHECK_EQ(f.sched.npending, 0);
  fake_settle(&f);
  LOG(&f, "a c=cancelled d=cancelled b=cancelled a:cancelled a=done");
  fake_term(&f);
}

static void close_kills_who_stays(void)
{
  struct fake_job *s;
  fake_init(&f);
  f.sched.close_ns = 5 * MS;
  SPAWNED(&f, "a", CALL(protect), PARK(NULL));
  s = JOB(&f, "s", CALL(protect), SLEEP(20 * MS));
  CHECK_EQ(uj_sched_shield(&f.sched, &s->job), UJ_OK);
  fake_turn(&f);
  uj_sched_close(&f.sched, NULL);
  fake_advance(&f, 4 * MS);
  uj_sched_close(&f.sched, NULL); /* gives no more time */
  LOG(&f, "a s");
  fake_advance(&f, MS);
  LOG(&f, "a! a=killed s! s=killed");
  CHECK(!uj_loop_live(&f.loop));
  fake_term(&f);
}

static void close_from_inside_spares_the_caller(void)
{
  fake_init(&f);
  SPAWNED(&f, "a", YIELD, CALL(close_f), ALONE(&f.sched), YIELD);
  SPAWNED(&f, "b", PARK(NULL), PARK(NULL), YIELD);
  fake_turn(&f);
  fake_settle(&f);
  LOG(&f, "a b a:ok b:cancelled b:cancelled b:cancelled b=done a:ok a:ok "
          "a=done");
  fake_term(&f);
}

/* Both wait for the others: when these are gone, neither waits on. */
static void two_close_from_inside(void)
{
  fake_init(&f);
  SPAWNED(&f, "a", CALL(protect), YIELD, CALL(close_f), ALONE(&f.sched));
  SPAWNED(&f, "b", CALL(protect), YIELD, CALL(close_f), ALONE(&f.sched));
  SPAWNED(&f, "c", CALL(protect), SLEEP(MS));
  fake_turn(&f);
  fake_turn(&f);
  LOG(&f, "a b c a:ok b:ok");
  fake_advance(&f, MS);
  fake_turn(&f);
  LOG(&f, "c:timeout c=done a:ok a=done b:ok b=done");
  fake_term(&f);
}

/* The second one is the last for which the first one waits. */
static void two_close_from_inside_with_no_other(void)
{
  fake_init(&f);
  SPAWNED(&f, "a", CALL(protect), YIELD, CALL(close_f), ALONE(&f.sched));
  SPAWNED(&f, "b", CALL(protect), YIELD, CALL(close_f), ALONE(&f.sched));
  fake_turn(&f);
  fake_settle(&f);
  LOG(&f, "a b a:ok b:ok a:ok a=done b:ok b=done");
  fake_term(&f);
}

static void who_is_alone_waits_for_nobody(void)
{
  fake_init(&f);
  SPAWNED(&f, "a", ALONE(&f.sched), CALL(close_f), ALONE(&f.sched));
  fake_settle(&f);
  LOG(&f, "a a:ok a:ok a=done");
  fake_term(&f);
}

static void waits_alone_for_pending_and_shielded(void)
{
  struct fake_job *s, *p;
  fake_init_limits(&f, 1, 1);
  SPAWNED(&f, "a", ALONE(&f.sched));
  s = JOB(&f, "s", PARK(NULL));
  CHECK_EQ(uj_sched_shield(&f.sched, &s->job), UJ_OK);
  p = SPAWNED(&f, "p", YIELD);
  fake_turn(&f);
  end(s);
  fake_settle(&f);
  LOG(&f, "a s s:ok s=done");
  uj_job_cancel(&p->job);
  fake_settle(&f);
  LOG(&f, "p=cancelled a:ok a=done");
  fake_term(&f);
}

static void a_shielded_job_waits_alone(void)
{
  struct fake_job *s;
  fake_init(&f);
  s = JOB(&f, "s", ALONE(&f.sched), ALONE(&f.sched));
  CHECK_EQ(uj_sched_shield(&f.sched, &s->job), UJ_OK);
  SPAWNED(&f, "a", YIELD);
  fake_settle(&f);
  LOG(&f, "s a a:ok a=done s:ok s:ok s=done");
  fake_term(&f);
}

/* An open scheduler goes on admitting jobs. */
static void waits_alone_for_later_jobs(void)
{
  struct fake_job *b, *c;
  fake_init(&f);
  SPAWNED(&f, "a", ALONE(&f.sched));
  b = SPAWNED(&f, "b", PARK(NULL));
  fake_turn(&f);
  c = SPAWNED(&f, "c", PARK(NULL));
  end(b);
  fake_settle(&f);
  LOG(&f, "a b c b:ok b=done");
  end(c);
  fake_settle(&f);
  LOG(&f, "c:ok c=done a:ok a=done");
  fake_term(&f);
}

/* Neither counts as waiting: one was told to end, one never got there. */
static void who_is_interrupted_is_waited_for(void)
{
  struct fake_job *b;
  fake_init(&f);
  SPAWNED(&f, "a", ALONE(&f.sched));
  b = SPAWNED(&f, "b", ALONE(&f.sched), ALONE(&f.sched), PARK(NULL));
  SPAWNED(&f, "c", CALL(protect), SLEEP(MS));
  fake_turn(&f);
  uj_job_cancel(&b->job);
  fake_turn(&f);
  CHECK_EQ(b->job.place, UJ_AT_READY);
  fake_turn(&f);
  LOG(&f, "a b c b:cancelled b:cancelled");
  fake_turn(&f);
  LOG(&f, "b:cancelled b=done");
  fake_advance(&f, MS);
  fake_settle(&f);
  LOG(&f, "c:timeout c=done a:ok a=done");
  fake_term(&f);
}

/* Who waits for the scheduler from outside is no concern of theirs. */
static void alone_is_not_idle(void)
{
  struct uj_sched watchers;
  const struct act waits[FAKE_ACTS] = {PARK(&f.sched.idle)};
  fake_init(&f);
  fake_sched_init(&f, &watchers, 9, 0);
  fake_spawn(&f, fake_job_new(&f, &watchers, "x", waits));
  SPAWNED(&f, "a", ALONE(&f.sched), YIELD);
  SPAWNED(&f, "b", ALONE(&f.sched));
  fake_turn(&f);
  fake_turn(&f);
  LOG(&f, "x a b a:ok b:ok b=done");
  fake_settle(&f);
  LOG(&f, "a:ok a=done x:ok x=done");
  fake_term(&f);
  uj_sched_term(&watchers);
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
  small.limit++; /* there is a slot, and no queue */
  CHECK(check_aborts(block, &job->job));
  small.limit--;
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

static void close_reaches_a_spawner_of_its_own(void)
{
  fake_init_limits(&f, 1, 0);
  SPAWNED(&f, "a", SPAWN(&f.sched, "x"), SPAWN(&f.sched, "y"));
  fake_turn(&f);
  uj_sched_close(&f.sched, NULL);
  fake_settle(&f);
  LOG(&f, "a x=cancelled a:closed a-y a=done");
  fake_term(&f);
}

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
      {"closing tells blocked spawners and drops their jobs #M9",
       close_tells_blocked_spawners},
      {"closing tells blocked spawners in protect, or about to end #M9",
       close_tells_every_blocked_spawner},
      {"closing reaches a spawner that is blocked in its own scheduler #M9",
       close_reaches_a_spawner_of_its_own},
      {"a closed scheduler admits nothing #M9", closed_admits_nothing},
      {"closing runs nothing more and keeps the bounds #M2 #M9",
       close_runs_nothing_more},
      {"closing kills who stays, closing again gives no more time #M8",
       close_kills_who_stays},
      {"closing from inside spares the caller until it is alone",
       close_from_inside_spares_the_caller},
      {"two jobs close their scheduler from inside", two_close_from_inside},
      {"two jobs close their scheduler from inside, with no other left",
       two_close_from_inside_with_no_other},
      {"a job that is alone waits for nobody", who_is_alone_waits_for_nobody},
      {"a job waits until it is alone for pending and shielded ones",
       waits_alone_for_pending_and_shielded},
      {"a shielded job waits until it is alone", a_shielded_job_waits_alone},
      {"a job waits until it is alone for those spawned meanwhile",
       waits_alone_for_later_jobs},
      {"a job that is interrupted waits no more until it is alone",
       who_is_interrupted_is_waited_for},
      {"jobs that wait for each other's end leave no idle scheduler",
       alone_is_not_idle},
#ifdef UJ_DEBUG
      {"nobody is blocked while there is room #M3",
       nobody_is_blocked_while_there_is_room},
#endif
  };
  return CHECK_RUN(tests);
}
