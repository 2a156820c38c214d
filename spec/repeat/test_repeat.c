/* repeat/repeat.h: repetitions with a host whose date the test sets, and whose
 * occurrences run until the test ends them.
 *
 * The log: 10 an occurrence for the time 10 has started; !overlap the first of
 * a row was dropped, for this reason; x what runs is to be closed; . it is
 * over.
 */
#include "check.h"

#include <math.h>

#include "fake_host.h"
#include "repeat/repeat.h"

static struct fake f;
static struct uj_repeats repeats;
static struct uj_random chance;
static struct uj_repeat repeat;
static struct uj_schedule every;
static double now_s, alarm_s;
static char log_text[4096];
static bool is_full;

static void note(const char *what)
{
  size_t used = strlen(log_text);
  snprintf(log_text + used, sizeof log_text - used, "%s%s", used > 0 ? " " : "",
           what);
}

static void note_time(const char *what, double time_s)
{
  char text[64];
  snprintf(text, sizeof text, "%s%g", what, time_s);
  note(text);
}

#define SEEN(expected)             \
  do {                             \
    CHECK_STR(log_text, expected); \
    log_text[0] = '\0';            \
  } while (0)

static double date(struct uj_repeats *all)
{
  (void)all;
  return now_s;
}

static void set_alarm(struct uj_repeats *all, double date_s)
{
  (void)all;
  alarm_s = date_s;
}

static const struct uj_schedule *schedule(struct uj_repeat *self)
{
  (void)self;
  return &every;
}

static enum uj_occurred start(struct uj_repeat *self, double time_s,
                              double late_s)
{
  (void)self;
  CHECK(late_s >= 0 && time_s + late_s == now_s);
  if (is_full)
    return UJ_OCCURRED_FULL;
  note_time("", time_s);
  return UJ_OCCURRED_STARTED;
}

static void cancel(struct uj_repeat *self)
{
  (void)self;
  note("x");
}

static void dropped(struct uj_repeat *self, enum uj_occurred why, double time_s)
{
  const char *what = "!full:";
  (void)self;
  if (why == UJ_OCCURRED_MISSED)
    what = "!missed:";
  else if (why == UJ_OCCURRED_OVERLAPS)
    what = "!overlap:";
  note_time(what, time_s);
}

static void over(struct uj_repeat *self)
{
  (void)self;
  note(".");
}

static const struct uj_repeat_host host = {date,   set_alarm, schedule, start,
                                           cancel, dropped,   over};

/* Every 10 seconds, from the date 0 on. */
static void begin(struct uj_repeat_rules rules)
{
  if (rules.misfire_limit == 0)
    rules.misfire_limit = 100;
  if (rules.misfire_grace_s == 0)
    rules.misfire_grace_s = INFINITY;
  fake_init(&f);
  every = (struct uj_schedule){.kind = UJ_SCHEDULE_EVERY, .period_s = 10};
  now_s = 0;
  is_full = false;
  log_text[0] = '\0';
  uj_random_init(&chance, 0);
  uj_repeats_init(&repeats, &host, &chance);
  uj_repeat_start(&repeat, &repeats, &f.sched, &rules, 0);
}

static void finish(void)
{
  uj_repeat_close(&repeat);
  while (repeat.running > 0)
    uj_repeat_ended(&repeat, false);
  CHECK(repeat.over);
  CHECK(isinf(alarm_s));
  CHECK_EQ(uj_agenda_check(&repeats.agenda), 0);
  uj_repeat_term(&repeat);
  fake_term(&f);
}

/* The date becomes `to_s`; the alarm goes off if that is its time. */
static void go_to(double to_s)
{
  now_s = to_s;
  if (alarm_s <= now_s)
    uj_repeats_ring(&repeats);
}

static void end(void)
{
  uj_repeat_ended(&repeat, false);
  if (alarm_s <= now_s)
    uj_repeats_ring(&repeats);
}

/* An occurrence that takes no time. */
static void pass(double to_s)
{
  go_to(to_s);
  while (repeat.running > 0)
    end();
}

static void fires_at_its_times(void)
{
  begin((struct uj_repeat_rules){0});
  CHECK(alarm_s == 10);
  pass(9.99);
  SEEN("");
  pass(10);
  SEEN("10");
  CHECK(alarm_s == 20);
  pass(20.5);
  SEEN("20");
  CHECK_EQ(repeat.runs, 2);
  CHECK(repeat.ran_s == 20 && repeat.next_s == 30);
  finish();
  SEEN(".");
}

static void never_runs_a_time_twice(void)
{
  begin((struct uj_repeat_rules){0});
  pass(10);
  pass(20);
  now_s = 5; /* the date goes back */
  uj_repeats_set_alarm(&repeats);
  CHECK(alarm_s == 30);
  uj_repeats_ring(&repeats);
  pass(10);
  pass(20);
  SEEN("10 20");
  pass(30);
  SEEN("30");
  finish();
}

/* The rules of a zone have changed while it waited: here the period. */
static void follows_new_rules(void)
{
  begin((struct uj_repeat_rules){0});
  pass(10);
  every.period_s = 25; /* so 20, which is planned, is none of its times */
  pass(20);
  SEEN("10");
  CHECK(alarm_s == 25);
  pass(25);
  every.period_s = 10; /* 50 is still one */
  pass(50);
  SEEN("25 50");
  CHECK(alarm_s == 60);
  CHECK_EQ(repeat.missed, 0);
  finish();
}

static void overlap_skips(void)
{
  begin((struct uj_repeat_rules){.overlap = UJ_OVERLAP_SKIP});
  go_to(10);
  go_to(20);
  go_to(30);
  SEEN("10 !overlap:20"); /* the first of a row */
  CHECK_EQ(repeat.skipped, 2);
  end();
  go_to(40);
  go_to(50);
  SEEN("40 !overlap:50");
  CHECK_EQ(repeat.skipped, 3);
  finish();
}

static void overlap_lets_one_wait(void)
{
  begin((struct uj_repeat_rules){.overlap = UJ_OVERLAP_ONE});
  go_to(10);
  go_to(20);
  go_to(30);
  SEEN("10 !overlap:30");
  now_s = 33;
  end();
  SEEN("20");
  end();
  SEEN("");
  go_to(40);
  SEEN("40");
  finish();
}

static void overlap_lets_all_wait(void)
{
  begin((struct uj_repeat_rules){.overlap = UJ_OVERLAP_ALL});
  for (int time = 10; time <= 100; time += 10)
    go_to(time);
  SEEN("10");
  CHECK_EQ(repeat.nwaiting, 9);
  for (int i = 0; i < 9; i++)
    end();
  SEEN("20 30 40 50 60 70 80 90 100");
  CHECK_EQ(repeat.skipped, 0);
  finish();
}

static void overlap_has_a_bound(void)
{
  begin((struct uj_repeat_rules){.overlap = UJ_OVERLAP_ALL});
  for (int i = 1; i <= UJ_REPEAT_WAITING_MAX + 3; i++)
    go_to(10.0 * i);
  CHECK_EQ(repeat.nwaiting, UJ_REPEAT_WAITING_MAX);
  CHECK_EQ(repeat.skipped, 2);
  finish();
}

static void overlap_cancels(void)
{
  begin((struct uj_repeat_rules){.overlap = UJ_OVERLAP_CANCEL});
  go_to(10);
  go_to(20);
  SEEN("10 x");
  go_to(30);
  SEEN("x !overlap:20");
  end();
  SEEN("30");
  CHECK_EQ(repeat.skipped, 1);
  finish();
}

static void overlap_is_allowed(void)
{
  begin((struct uj_repeat_rules){.overlap = UJ_OVERLAP_ALLOW});
  go_to(10);
  go_to(20);
  go_to(30);
  SEEN("10 20 30");
  CHECK_EQ(repeat.running, 3);
  finish();
}

static void misfire_skips(void)
{
  begin((struct uj_repeat_rules){.misfire = UJ_MISFIRE_SKIP});
  pass(55);
  SEEN("!missed:10");
  CHECK_EQ(repeat.missed, 5);
  pass(60.9); /* late, but not missed */
  SEEN("60");
  pass(90.5);
  SEEN("!missed:70 90");
  CHECK_EQ(repeat.missed, 7);
  finish();
}

static void misfire_runs_the_latest(void)
{
  begin((struct uj_repeat_rules){.misfire = UJ_MISFIRE_LATEST});
  pass(55);
  SEEN("!missed:10 50");
  CHECK_EQ(repeat.missed, 4);
  pass(65); /* one that is long past is the latest */
  SEEN("60");
  finish();
}

static void misfire_runs_all_in_order(void)
{
  begin((struct uj_repeat_rules){.misfire = UJ_MISFIRE_ALL});
  pass(55);
  SEEN("10 20 30 40 50");
  CHECK_EQ(repeat.missed, 0);
  finish();
}

static void misfire_has_a_limit(void)
{
  begin(
      (struct uj_repeat_rules){.misfire = UJ_MISFIRE_ALL, .misfire_limit = 2});
  pass(10055);
  SEEN("!missed:10 10040 10050");
  CHECK_EQ(repeat.missed, 1003);
  finish();
}

static void misfire_has_a_grace(void)
{
  begin((struct uj_repeat_rules){.misfire = UJ_MISFIRE_ALL,
                                 .misfire_grace_s = 20});
  pass(55);
  SEEN("!missed:10 40 50");
  pass(60);
  SEEN("60");
  finish();
  begin((struct uj_repeat_rules){.misfire = UJ_MISFIRE_LATEST,
                                 .misfire_grace_s = 3});
  pass(55);
  SEEN("!missed:10");
  CHECK_EQ(repeat.missed, 5);
  pass(63);
  SEEN("60");
  finish();
}

static void misfire_of_a_century_takes_no_time(void)
{
  begin((struct uj_repeat_rules){.misfire = UJ_MISFIRE_ALL});
  pass(3e9 + 5);
  CHECK_EQ(repeat.runs, 100);
  CHECK_EQ(repeat.missed, 300000000 - 100);
  finish();
}

static void caught_up_times_do_not_overlap(void)
{
  begin((struct uj_repeat_rules){.misfire = UJ_MISFIRE_ALL});
  go_to(35);
  SEEN("10");
  end();
  SEEN("20");
  go_to(40);
  SEEN("!overlap:40");
  end();
  SEEN("30");
  finish();
}

static void jitter_is_within_bounds(void)
{
  begin((struct uj_repeat_rules){.jitter_s = 4});
  for (int i = 1; i <= 1000; i++) {
    double time_s = 10.0 * i;
    CHECK(repeat.next_s == time_s);
    CHECK(alarm_s == repeat.start_s);
    CHECK(alarm_s >= time_s && alarm_s < time_s + 4);
    pass(alarm_s);
  }
  CHECK_EQ(repeat.runs, 1000);
  finish();
  begin((struct uj_repeat_rules){.jitter_s = 1e9});
  for (int i = 1; i <= 1000; i++) {
    CHECK(alarm_s >= 10.0 * i && alarm_s < 10.0 * (i + 1));
    pass(alarm_s);
  }
  CHECK_EQ(repeat.runs, 1000);
  CHECK_EQ(repeat.missed, 0);
  finish();
}

static void pauses_and_goes_on(void)
{
  begin((struct uj_repeat_rules){0});
  pass(10);
  uj_repeat_pause(&repeat);
  uj_repeat_pause(&repeat);
  CHECK(isinf(alarm_s));
  pass(45);
  uj_repeat_resume(&repeat);
  uj_repeat_resume(&repeat);
  CHECK(alarm_s == 50);
  pass(50);
  SEEN("10 50");
  CHECK_EQ(repeat.missed + repeat.skipped, 0);
  finish();
}

static void pauses_after_an_error(void)
{
  begin((struct uj_repeat_rules){.pauses_on_error = true});
  pass(10);
  go_to(20);
  uj_repeat_ended(&repeat, true);
  CHECK(repeat.paused && isinf(alarm_s));
  pass(100);
  SEEN("10 20");
  finish();
}

static void is_triggered(void)
{
  begin((struct uj_repeat_rules){.overlap = UJ_OVERLAP_SKIP});
  now_s = 3;
  CHECK_EQ(uj_repeat_trigger(&repeat), UJ_OCCURRED_STARTED);
  CHECK_EQ(uj_repeat_trigger(&repeat), UJ_OCCURRED_OVERLAPS);
  end();
  uj_repeat_pause(&repeat);
  CHECK_EQ(uj_repeat_trigger(&repeat), UJ_OCCURRED_STARTED);
  end();
  SEEN("3 !overlap:3 3");
  uj_repeat_close(&repeat);
  CHECK_EQ(uj_repeat_trigger(&repeat), UJ_OCCURRED_CLOSED);
  finish();
}

static void a_full_scheduler_drops(void)
{
  begin((struct uj_repeat_rules){0});
  is_full = true;
  pass(10);
  pass(20);
  is_full = false;
  pass(30);
  SEEN("!full:10 30");
  CHECK_EQ(repeat.skipped, 2);
  finish();
}

static void closing_stops_at_once(void)
{
  begin((struct uj_repeat_rules){.overlap = UJ_OVERLAP_ALL});
  go_to(10);
  go_to(20);
  uj_repeat_close(&repeat);
  uj_repeat_close(&repeat);
  CHECK(isinf(alarm_s));
  SEEN("10");
  end();
  SEEN(".");
  finish();
}

static void ends_with_its_scheduler(void)
{
  begin((struct uj_repeat_rules){0});
  uj_sched_close(&f.sched, NULL);
  SEEN(".");
  CHECK(repeat.closed && isinf(alarm_s));
  finish();
}

static void ends_with_its_last_time(void)
{
  begin((struct uj_repeat_rules){0});
  pass(10);
  uj_repeat_term(&repeat);
  every = (struct uj_schedule){.kind = UJ_SCHEDULE_AT, .time_s = 20};
  uj_repeat_start(&repeat, &repeats, &f.sched, &repeat.rules, 10);
  go_to(20);
  SEEN("10 20");
  CHECK(!repeat.closed);
  end();
  SEEN(".");
  finish();
}

int main(void)
{
  static const struct check_test tests[] = {
      {"it fires at its times, and not before #R9", fires_at_its_times},
      {"no time runs twice when the date goes back #R6",
       never_runs_a_time_twice},
      {"it follows new rules from its next time on #R15", follows_new_rules},
      {"overlap skip drops what comes while one runs #R7", overlap_skips},
      {"overlap one lets one wait", overlap_lets_one_wait},
      {"overlap all lets all wait, in order", overlap_lets_all_wait},
      {"overlap all has a bound", overlap_has_a_bound},
      {"overlap cancel closes what runs and then starts", overlap_cancels},
      {"overlap allow runs them side by side", overlap_is_allowed},
      {"misfire skip runs none of the missed #R8", misfire_skips},
      {"misfire latest runs one #R8", misfire_runs_the_latest},
      {"misfire all runs all, in order #R8", misfire_runs_all_in_order},
      {"misfire all runs the last ones up to a limit", misfire_has_a_limit},
      {"what was missed too long ago does not run", misfire_has_a_grace},
      {"a step by a century takes no time", misfire_of_a_century_takes_no_time},
      {"times that are caught up with run one by one",
       caught_up_times_do_not_overlap},
      {"jitter is within its bounds and before the next time",
       jitter_is_within_bounds},
      {"it pauses, and goes on from then", pauses_and_goes_on},
      {"it pauses after an error if it is to #R12", pauses_after_an_error},
      {"it can be triggered", is_triggered},
      {"a scheduler without room drops", a_full_scheduler_drops},
      {"closing stops all later times at once #R11", closing_stops_at_once},
      {"it ends with its scheduler", ends_with_its_scheduler},
      {"it ends with its last time", ends_with_its_last_time},
  };
  return CHECK_RUN(tests);
}
