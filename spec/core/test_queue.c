/* core/queue.h: who gets a value, who may put one, and who does not. */
#include "check.h"

#include "core/queue.h"
#include "fake_host.h"

static struct fake f;
static struct uj_queue q;

static void init(uint64_t capacity)
{
  fake_init(&f);
  uj_queue_init(&q, capacity);
}

/* Asserts the invariants that core/queue.h states. */
static void check(void)
{
  CHECK(q.count <= q.capacity);
  CHECK(uj_waitq_empty(&q.getters) || q.count == 0);
  CHECK(uj_waitq_empty(&q.putters) || q.count == q.capacity);
  CHECK(uj_waitq_empty(&q.getters) || uj_waitq_empty(&q.putters));
  CHECK(!q.closed ||
        (uj_waitq_empty(&q.getters) && uj_waitq_empty(&q.putters)));
}

static enum uj_queue_result put(struct uj_job **other)
{
  enum uj_queue_result result = uj_queue_put(&q, other);
  check();
  return result;
}

static enum uj_queue_result get(struct uj_job **other)
{
  enum uj_queue_result result = uj_queue_get(&q, other);
  check();
  return result;
}

/* Jobs that begin to wait on the next turn, as they do whose put or get gave
 * UJ_QUEUE_WAIT. */
static struct fake_job *getter(const char *name)
{
  return SPAWNED(&f, name, PARK(&q.getters));
}

static struct fake_job *putter(const char *name)
{
  return SPAWNED(&f, name, PARK(&q.putters));
}

static void term(void)
{
  fake_settle(&f);
  fake_term(&f);
  check();
}

static void stores_up_to_the_capacity(void)
{
  struct uj_job *other;
  init(3);
  for (int i = 1; i <= 3; i++) {
    CHECK_EQ(put(&other), UJ_QUEUE_STORED);
    CHECK(other == NULL);
    CHECK_EQ(q.count, i);
  }
  CHECK_EQ(put(&other), UJ_QUEUE_WAIT);
  CHECK(other == NULL);
  for (int i = 2; i >= 0; i--) {
    CHECK_EQ(get(&other), UJ_QUEUE_STORED);
    CHECK(other == NULL);
    CHECK_EQ(q.count, i);
  }
  CHECK_EQ(get(&other), UJ_QUEUE_WAIT);
  CHECK(other == NULL);
  term();
}

static void stores_without_a_limit(void)
{
  struct uj_job *other;
  init(UINT64_MAX);
  for (int i = 0; i < 100000; i++)
    if (uj_queue_put(&q, &other) != UJ_QUEUE_STORED)
      CHECK(false);
  CHECK_EQ(q.count, 100000);
  term();
}

static void hands_a_value_to_the_first_getter(void)
{
  struct fake_job *a, *b;
  struct uj_job *other;
  init(5);
  a = getter("a");
  b = getter("b");
  fake_turn(&f);
  CHECK_EQ(put(&other), UJ_QUEUE_HANDED);
  CHECK(other == &a->job);
  CHECK_EQ(q.count, 0);
  CHECK_EQ(get(&other), UJ_QUEUE_WAIT); /* it does not overtake */
  CHECK_EQ(put(&other), UJ_QUEUE_HANDED);
  CHECK(other == &b->job);
  CHECK_EQ(put(&other), UJ_QUEUE_STORED);
  fake_settle(&f);
  LOG(&f, "a b a:ok a=done b:ok b=done");
  term();
}

static void gives_a_place_to_the_first_putter(void)
{
  struct fake_job *a, *b;
  struct uj_job *other;
  init(1);
  CHECK_EQ(put(&other), UJ_QUEUE_STORED);
  a = putter("a");
  b = putter("b");
  fake_turn(&f);
  CHECK_EQ(get(&other), UJ_QUEUE_STORED);
  CHECK(other == &a->job);
  CHECK_EQ(q.count, 1);                 /* the value of a */
  CHECK_EQ(put(&other), UJ_QUEUE_WAIT); /* it does not overtake */
  CHECK_EQ(get(&other), UJ_QUEUE_STORED);
  CHECK(other == &b->job);
  CHECK_EQ(get(&other), UJ_QUEUE_STORED);
  CHECK(other == NULL);
  CHECK_EQ(q.count, 0);
  fake_settle(&f);
  LOG(&f, "a b a:ok a=done b:ok b=done");
  term();
}

static void without_capacity_is_a_rendezvous(void)
{
  struct fake_job *a, *b;
  struct uj_job *other;
  init(0);
  CHECK_EQ(put(&other), UJ_QUEUE_WAIT);
  CHECK_EQ(get(&other), UJ_QUEUE_WAIT);
  a = putter("a");
  fake_turn(&f);
  CHECK_EQ(get(&other), UJ_QUEUE_HANDED);
  CHECK(other == &a->job);
  CHECK_EQ(get(&other), UJ_QUEUE_WAIT);
  b = getter("b");
  fake_settle(&f);
  CHECK_EQ(put(&other), UJ_QUEUE_HANDED);
  CHECK(other == &b->job);
  CHECK_EQ(q.count, 0);
  fake_settle(&f);
  LOG(&f, "a a:ok a=done b b:ok b=done");
  term();
}

static void close_wakes_getters(void)
{
  struct uj_job *other;
  init(1);
  getter("a");
  getter("b");
  fake_turn(&f);
  uj_queue_close(&q);
  check();
  fake_settle(&f);
  LOG(&f, "a b a:closed a=done b:closed b=done");
  CHECK_EQ(get(&other), UJ_QUEUE_CLOSED);
  CHECK_EQ(put(&other), UJ_QUEUE_CLOSED);
  CHECK(other == NULL);
  term();
}

static void close_wakes_putters_and_drains(void)
{
  struct uj_job *other;
  init(2);
  CHECK_EQ(put(&other), UJ_QUEUE_STORED);
  CHECK_EQ(put(&other), UJ_QUEUE_STORED);
  putter("a");
  putter("b");
  fake_turn(&f);
  uj_queue_close(&q);
  uj_queue_close(&q);
  check();
  fake_settle(&f);
  LOG(&f, "a b a:closed a=done b:closed b=done");
  CHECK_EQ(put(&other), UJ_QUEUE_CLOSED);
  CHECK_EQ(get(&other), UJ_QUEUE_STORED);
  CHECK_EQ(get(&other), UJ_QUEUE_STORED);
  CHECK_EQ(get(&other), UJ_QUEUE_CLOSED);
  CHECK_EQ(q.count, 0);
  term();
}

static void close_takes_nothing_back(void)
{
  struct uj_job *other;
  init(1);
  getter("a");
  getter("b");
  fake_turn(&f);
  CHECK_EQ(put(&other), UJ_QUEUE_HANDED);
  uj_queue_close(&q);
  fake_settle(&f);
  LOG(&f, "a b a:ok a=done b:closed b=done");
  term();
}

static void leaving_getter_takes_nothing(void)
{
  struct fake_job *a, *c;
  struct uj_job *other;
  init(5);
  a = getter("a");
  SPAWNED(&f, "b", PARK_UNTIL(&q.getters, f.now_ns + 5 * MS));
  c = getter("c");
  fake_turn(&f);
  uj_job_cancel(&a->job);
  fake_advance(&f, 5 * MS);
  LOG(&f, "a b c a:cancelled a=done b:timeout b=done");
  CHECK_EQ(put(&other), UJ_QUEUE_HANDED);
  CHECK(other == &c->job);
  CHECK_EQ(put(&other), UJ_QUEUE_STORED);
  fake_settle(&f);
  LOG(&f, "c:ok c=done");
  term();
}

static void leaving_putter_puts_nothing(void)
{
  struct fake_job *a, *c;
  struct uj_job *other;
  init(0);
  a = putter("a");
  SPAWNED(&f, "b", PARK_UNTIL(&q.putters, f.now_ns + 5 * MS));
  c = putter("c");
  fake_turn(&f);
  uj_job_cancel(&a->job);
  fake_advance(&f, 5 * MS);
  CHECK_EQ(get(&other), UJ_QUEUE_HANDED);
  CHECK(other == &c->job);
  CHECK_EQ(get(&other), UJ_QUEUE_WAIT);
  fake_settle(&f);
  LOG(&f, "a b c a:cancelled a=done b:timeout b=done c:ok c=done");
  term();
}

static void killed_waiters_leave_the_queue(void)
{
  struct fake_job *a;
  struct uj_job *other;
  init(5);
  a = getter("a");
  a->job.protect = true;
  fake_turn(&f);
  uj_job_close(&a->job, 5 * MS);
  CHECK(uj_waitq_first(&q.getters) == &a->job);
  fake_advance(&f, 5 * MS);
  LOG(&f, "a a! a=killed");
  CHECK_EQ(put(&other), UJ_QUEUE_STORED);
  CHECK(other == NULL);
  term();
}

/* A job was handed a value, and was cancelled before it ran. */
static void handed_value_stays_with_its_getter(void)
{
  struct fake_job *a;
  struct uj_job *other;
  init(5);
  a = SPAWNED(&f, "a", PARK(&q.getters), YIELD);
  fake_turn(&f);
  CHECK_EQ(put(&other), UJ_QUEUE_HANDED);
  uj_job_close(&a->job, 50 * MS);
  fake_settle(&f);
  LOG(&f, "a a:ok a:cancelled a=done");
  term();
}

int main(void)
{
  static const struct check_test tests[] = {
      {"stores up to its capacity, then makes putters wait",
       stores_up_to_the_capacity},
      {"stores any number without a limit", stores_without_a_limit},
      {"hands a value straight to the first getter",
       hands_a_value_to_the_first_getter},
      {"gives a free place straight to the first putter",
       gives_a_place_to_the_first_putter},
      {"of capacity 0 is a rendezvous", without_capacity_is_a_rendezvous},
      {"wakes all getters when it is closed #M4", close_wakes_getters},
      {"wakes all putters when it is closed, and can be drained #M4",
       close_wakes_putters_and_drains},
      {"closing takes no value back that was handed over #M6",
       close_takes_nothing_back},
      {"a getter that leaves takes nothing #M6", leaving_getter_takes_nothing},
      {"a putter that leaves puts nothing #M6", leaving_putter_puts_nothing},
      {"a killed getter takes nothing #M6", killed_waiters_leave_the_queue},
      {"cancelling does not take back a value that was handed over #M6",
       handed_value_stays_with_its_getter},
  };
  return CHECK_RUN(tests);
}
