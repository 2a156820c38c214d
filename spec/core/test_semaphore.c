/* core/semaphore.h: no permit is lost or doubled, whoever stops waiting. */
#include "check.h"

#include "core/semaphore.h"
#include "fake_host.h"

static struct fake f;
static struct uj_semaphore sem;

static void init(uint64_t total)
{
  fake_init(&f);
  uj_semaphore_init(&sem, total);
}

static void check(uint64_t count)
{
  CHECK_EQ(sem.count, count);
  CHECK(uj_waitq_empty(&sem.waiters) || sem.count == 0);
}

static void term(void)
{
  fake_settle(&f);
  fake_term(&f);
}

static void gives_out_what_it_has(void)
{
  init(2);
  CHECK(uj_semaphore_try(&sem));
  CHECK(uj_semaphore_try(&sem));
  CHECK(!uj_semaphore_try(&sem));
  check(0);
  CHECK(uj_semaphore_release(&sem));
  check(1);
  CHECK(uj_semaphore_try(&sem));
  check(0);
  term();
}

static void refuses_a_permit_too_many(void)
{
  init(2);
  CHECK(!uj_semaphore_release(&sem));
  check(2);
  CHECK(uj_semaphore_try(&sem));
  CHECK(uj_semaphore_release(&sem));
  CHECK(!uj_semaphore_release(&sem));
  check(2);
  term();
}

static void hands_over_in_order(void)
{
  init(1);
  CHECK(uj_semaphore_try(&sem));
  SPAWNED(&f, "a", PARK(&sem.waiters));
  SPAWNED(&f, "b", PARK(&sem.waiters));
  fake_turn(&f);
  CHECK(uj_semaphore_release(&sem));
  check(0);
  CHECK(!uj_semaphore_try(&sem)); /* this job does not overtake */
  fake_settle(&f);
  LOG(&f, "a b a:ok a=done");
  CHECK(uj_semaphore_release(&sem)); /* a gives its permit back */
  CHECK(uj_semaphore_release(&sem)); /* b gives its permit back */
  CHECK(!uj_semaphore_release(&sem));
  check(1);
  fake_settle(&f);
  LOG(&f, "b:ok b=done");
  term();
}

static void leaving_waiter_takes_nothing(void)
{
  struct fake_job *a, *c;
  init(1);
  CHECK(uj_semaphore_try(&sem));
  a = SPAWNED(&f, "a", PARK(&sem.waiters));
  SPAWNED(&f, "b", PARK_UNTIL(&sem.waiters, f.now_ns + 5 * MS));
  c = SPAWNED(&f, "c", PARK(&sem.waiters));
  c->job.protect = true;
  SPAWNED(&f, "d", PARK(&sem.waiters));
  fake_turn(&f);
  uj_job_cancel(&a->job);
  uj_job_close(&c->job, 5 * MS);
  fake_advance(&f, 5 * MS);
  LOG(&f, "a b c d a:cancelled a=done b:timeout b=done c! c=killed");
  check(0);
  CHECK(uj_semaphore_release(&sem));
  fake_settle(&f);
  LOG(&f, "d:ok d=done");
  CHECK(uj_semaphore_release(&sem));
  check(1);
  term();
}

static void handed_permit_stays(void)
{
  struct fake_job *a;
  init(1);
  CHECK(uj_semaphore_try(&sem));
  a = SPAWNED(&f, "a", PARK(&sem.waiters), YIELD);
  fake_turn(&f);
  CHECK(uj_semaphore_release(&sem));
  uj_job_cancel(&a->job);
  fake_settle(&f);
  LOG(&f, "a a:ok a:cancelled a=done");
  check(0); /* a has it, and gives it back itself */
  CHECK(uj_semaphore_release(&sem));
  check(1);
  term();
}

static void interrupted_job_takes_nothing(void)
{
  struct fake_job *a;
  init(1);
  CHECK(uj_semaphore_try(&sem));
  a = SPAWNED(&f, "a", YIELD, PARK(&sem.waiters));
  fake_turn(&f);
  uj_job_cancel(&a->job);
  fake_turn(&f);
  CHECK(uj_semaphore_release(&sem));
  fake_settle(&f);
  check(1);
  LOG(&f, "a a:cancelled a:cancelled a=done");
  term();
}

int main(void)
{
  static const struct check_test tests[] = {
      {"gives out as many permits as it has", gives_out_what_it_has},
      {"refuses to take back more than it gave", refuses_a_permit_too_many},
      {"hands a permit straight to the first waiter", hands_over_in_order},
      {"a waiter that leaves takes no permit #M6",
       leaving_waiter_takes_nothing},
      {"cancelling does not take back a permit that was handed over #M6",
       handed_permit_stays},
      {"a cancelled job that comes to wait takes no permit #M5 #M6",
       interrupted_job_takes_nothing},
  };
  return CHECK_RUN(tests);
}
