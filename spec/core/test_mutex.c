/* core/mutex.h: one owner, the next in line, and the locks of a job. */
#include "check.h"

#include "core/mutex.h"
#include "fake_host.h"

static struct fake f;
static struct uj_mutex mutex, other;

static void init(void)
{
  fake_init(&f);
  uj_mutex_init(&mutex);
  uj_mutex_init(&other);
}

static void check(const struct uj_mutex *m, const struct fake_job *owner)
{
  CHECK(m->owner == (owner == NULL ? NULL : &owner->job));
  CHECK(uj_link_empty(&m->locked) == (owner == NULL));
  CHECK(uj_waitq_empty(&m->waiters) || owner != NULL);
}

static struct fake_job *waiter(const char *name)
{
  return SPAWNED(&f, name, PARK(&mutex.waiters), PARK(NULL));
}

/* Makes a job that only waits. */
static struct fake_job *idler(const char *name)
{
  return SPAWNED(&f, name, PARK(NULL));
}

static void term(void)
{
  uj_mutex_term(&mutex);
  uj_mutex_term(&other);
  CHECK(uj_link_empty(&f.loop.locked));
  fake_settle(&f);
  fake_term(&f);
}

static void has_one_owner(void)
{
  struct fake_job *a, *b;
  init();
  a = idler("a");
  b = idler("b");
  fake_turn(&f);
  check(&mutex, NULL);
  CHECK(uj_mutex_try(&mutex, &a->job));
  check(&mutex, a);
  CHECK(!uj_mutex_try(&mutex, &b->job));
  CHECK(!uj_mutex_try(&mutex, &a->job));
  check(&mutex, a);
  CHECK_EQ(a->job.nlocks, 1);
  CHECK_EQ(b->job.nlocks, 0);
  uj_mutex_unlock(&mutex);
  check(&mutex, NULL);
  CHECK_EQ(a->job.nlocks, 0);
  CHECK(uj_mutex_try(&mutex, &b->job));
  uj_mutex_unlock(&mutex);
  term();
}

static void passes_on_in_order(void)
{
  struct fake_job *a, *b, *c;
  init();
  a = idler("a");
  b = waiter("b");
  c = waiter("c");
  CHECK(uj_mutex_try(&mutex, &a->job));
  fake_turn(&f);
  uj_mutex_unlock(&mutex);
  check(&mutex, b); /* b owns it before it runs, so no job overtakes it */
  CHECK_EQ(a->job.nlocks, 0);
  CHECK_EQ(b->job.nlocks, 1);
  CHECK(!uj_mutex_try(&mutex, &a->job));
  uj_mutex_unlock(&mutex);
  check(&mutex, c);
  uj_mutex_unlock(&mutex);
  check(&mutex, NULL);
  fake_settle(&f);
  LOG(&f, "a b c b:ok c:ok");
  term();
}

static void leaving_waiter_locks_nothing(void)
{
  struct fake_job *a, *b, *d, *e;
  init();
  a = idler("a");
  b = waiter("b");
  SPAWNED(&f, "c", PARK_UNTIL(&mutex.waiters, f.now_ns + 5 * MS));
  d = waiter("d");
  d->job.protect = true;
  e = waiter("e");
  CHECK(uj_mutex_try(&mutex, &a->job));
  fake_turn(&f);
  uj_job_cancel(&b->job);
  uj_job_close(&d->job, 5 * MS);
  fake_advance(&f, 5 * MS);
  check(&mutex, a);
  uj_mutex_unlock(&mutex);
  check(&mutex, e);
  uj_mutex_unlock(&mutex);
  check(&mutex, NULL);
  term();
}

static void cancelled_owner_keeps_it(void)
{
  struct fake_job *a, *b;
  init();
  a = idler("a");
  b = waiter("b");
  CHECK(uj_mutex_try(&mutex, &a->job));
  fake_turn(&f);
  uj_mutex_unlock(&mutex);
  uj_job_cancel(&b->job); /* b owns the mutex already */
  check(&mutex, b);
  fake_turn(&f);
  LOG(&f, "a b b:ok");
  check(&mutex, b);
  uj_mutex_unlock(&mutex);
  term();
}

static void finds_what_a_job_holds(void)
{
  struct uj_mutex many[10];
  struct uj_mutex *held;
  struct fake_job *a, *b;
  int count = 0;
  init();
  a = idler("a");
  b = idler("b");
  fake_turn(&f);
  CHECK(uj_mutex_held(&f.loop, &a->job) == NULL);
  for (int i = 0; i < 10; i++) {
    uj_mutex_init(&many[i]);
    CHECK(uj_mutex_try(&many[i], i % 2 == 0 ? &a->job : &b->job));
  }
  CHECK_EQ(a->job.nlocks, 5);
  while ((held = uj_mutex_held(&f.loop, &a->job)) != NULL) {
    CHECK(held->owner == &a->job);
    uj_mutex_unlock(held);
    count++;
  }
  CHECK_EQ(count, 5);
  CHECK_EQ(a->job.nlocks, 0);
  CHECK_EQ(b->job.nlocks, 5);
  for (int i = 0; i < 10; i++)
    uj_mutex_term(&many[i]);
  CHECK_EQ(b->job.nlocks, 0);
  term();
}

static void term_frees_a_locked_one(void)
{
  struct fake_job *a;
  init();
  a = idler("a");
  fake_turn(&f);
  CHECK(uj_mutex_try(&mutex, &a->job));
  CHECK(uj_mutex_try(&other, &a->job));
  uj_mutex_term(&mutex);
  check(&mutex, NULL);
  CHECK_EQ(a->job.nlocks, 1);
  CHECK(uj_mutex_held(&f.loop, &a->job) == &other);
  uj_mutex_term(&mutex); /* to call it twice changes nothing */
  uj_mutex_unlock(&other);
  CHECK(uj_mutex_held(&f.loop, &a->job) == NULL);
  term();
}

int main(void)
{
  static const struct check_test tests[] = {
      {"has one owner at a time", has_one_owner},
      {"passes straight to the first waiter", passes_on_in_order},
      {"a waiter that leaves locks nothing #M6", leaving_waiter_locks_nothing},
      {"cancelling does not take back a lock that was handed over #M6",
       cancelled_owner_keeps_it},
      {"finds the locks that a job holds among all others",
       finds_what_a_job_holds},
      {"lets its owner go when it is given up", term_frees_a_locked_one},
  };
  return CHECK_RUN(tests);
}
