/* The line of core/job.h: a wait list that knows at every moment how many jobs
 * stand in it, however they leave. */
#include "check.h"

#include "fake_host.h"

static struct fake f;
static struct uj_line line;

/* A job that waits in the line until then. */
static struct fake_job *waiter(const char *name, uint64_t due_ns)
{
  struct fake_job *job = SPAWNED(&f, name, LINE_UNTIL(&line, due_ns));
  fake_turn(&f);
  return job;
}

static void init(void)
{
  fake_init(&f);
  uj_line_init(&line);
}

static void term(void)
{
  fake_settle(&f);
  fake_term(&f);
}

static void wakes_in_order_and_counts(void)
{
  init();
  CHECK(uj_line_wake_one(&line) == NULL);
  waiter("a", UJ_NEVER);
  waiter("b", UJ_NEVER);
  CHECK_EQ(line.length, 2);
  CHECK(uj_line_wake_one(&line) != NULL);
  CHECK_EQ(line.length, 1);
  CHECK(uj_line_wake_one(&line) != NULL);
  CHECK_EQ(line.length, 0);
  CHECK(uj_line_wake_one(&line) == NULL);
  fake_settle(&f);
  LOG(&f, "a b a:ok a=done b:ok b=done");
  term();
}

static void counts_nobody_who_was_cancelled(void)
{
  struct fake_job *a;
  init();
  a = waiter("a", UJ_NEVER);
  waiter("b", UJ_NEVER);
  uj_job_cancel(&a->job);
  CHECK_EQ(line.length, 1); /* at once, before it runs */
  CHECK(uj_line_wake_one(&line) != NULL);
  CHECK_EQ(line.length, 0);
  term();
}

static void counts_nobody_who_was_woken_and_cancelled_then(void)
{
  struct fake_job *a;
  init();
  a = waiter("a", UJ_NEVER);
  CHECK(uj_line_wake_one(&line) == &a->job);
  uj_job_cancel(&a->job);
  CHECK_EQ(line.length, 0);
  fake_settle(&f);
  LOG(&f, "a a:ok a=done");
  term();
}

static void counts_nobody_whose_time_has_passed(void)
{
  init();
  waiter("a", f.now_ns + 5);
  waiter("b", UJ_NEVER);
  CHECK_EQ(line.length, 2);
  f.now_ns += 5;
  fake_turn(&f);
  CHECK_EQ(line.length, 1);
  CHECK(uj_line_wake_one(&line) != NULL);
  term();
}

static void counts_nobody_who_was_killed(void)
{
  struct fake_job *a;
  init();
  a = waiter("a", UJ_NEVER);
  uj_job_close(&a->job, 0);
  CHECK_EQ(line.length, 0);
  term();
}

static void does_not_count_who_is_refused(void)
{
  struct fake_job *a;
  init();
  a = SPAWNED(&f, "a", PARK(NULL), LINE_UNTIL(&line, UJ_NEVER),
              LINE_UNTIL(&line, UJ_NEVER));
  fake_turn(&f);
  uj_job_cancel(&a->job);
  a->job.refusals = 114; /* so the second refusal pauses for as long as any */
  fake_turn(&f);
  CHECK_EQ(line.length, 0);
  fake_turn(&f);
  CHECK_EQ(line.length, 0);
  f.now_ns += 1000 * MS;
  term();
}

static void is_empty_when_it_was_closed(void)
{
  init();
  waiter("a", UJ_NEVER);
  waiter("b", UJ_NEVER);
  uj_waitq_close(&line.waiters);
  CHECK_EQ(line.length, 0);
  term();
}

int main(void)
{
  static const struct check_test tests[] = {
      {"a line wakes in order and counts", wakes_in_order_and_counts},
      {"a line counts nobody who was cancelled",
       counts_nobody_who_was_cancelled},
      {"a line counts nobody who was woken, and cancelled then",
       counts_nobody_who_was_woken_and_cancelled_then},
      {"a line counts nobody whose time has passed",
       counts_nobody_whose_time_has_passed},
      {"a line counts nobody who was killed", counts_nobody_who_was_killed},
      {"a line does not count who is refused", does_not_count_who_is_refused},
      {"a line is empty when it was closed", is_empty_when_it_was_closed},
  };
  return CHECK_RUN(tests);
}
