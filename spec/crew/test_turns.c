/* A crew on the virtual clock: one member runs at a time, and what they do is
 * the same each time. Meant for ThreadSanitizer, too, which sees it when two
 * members run at once: what they write is under no lock. */
#include "hands.h"

enum { HANDS = 4, STEPS = 12, LOG = 1024 };

struct event {
  int number;
  uint64_t now_ns;
};

static struct hand hands[HANDS];
static struct event events[LOG]; /* written by who has the turn */
static int nevents;

static void note(const struct hand *self)
{
  events[nevents].number = self->number;
  events[nevents].now_ns = uj_turns_now(self->member);
  nevents++;
}

static void pass_until(struct hand *self, uint64_t due_ns)
{
  struct uj_pass pass = {.now_ns = uj_turns_now(self->member),
                         .due_ns = due_ns};
  uj_turns_pass(self->member, &pass);
  uj_turns_take(self->member);
}

/* It is busy for a while, then waits for a time of its own. */
static void *work_and_sleep(void *arg)
{
  struct hand *self = arg;
  uj_turns_take(self->member);
  hand_host(self);
  for (int i = 0; i < STEPS; i++) {
    note(self);
    pass_until(self, i % 3 != 0 ? 0
                                : uj_turns_now(self->member) +
                                      (uint64_t)self->number * 10);
  }
  uj_member_leave(self->member);
  return NULL;
}

static void begin(bool shuffles, uint64_t seed, void *(*run)(void *arg))
{
  nevents = 0;
  hand_init(&hands[0], 0, uj_crew_found(false));
  uj_turns_begin(hands[0].member, 1000, 0, shuffles, seed);
  hand_host(&hands[0]);
  for (int i = 1; i < HANDS; i++) {
    hand_init(&hands[i], i, uj_crew_add(hands[0].member));
    hand_start(&hands[i], run);
  }
}

static void end_all(void)
{
  for (int i = 1; i < HANDS; i++) {
    uj_turns_await_leave(hands[0].member, hands[i].member);
    pthread_join(hands[i].thread, NULL);
    hand_end(&hands[i]);
  }
  CHECK(uj_turns_has(hands[0].member));
  uj_member_leave(hands[0].member);
  hand_end(&hands[0]);
}

static void run_once(bool shuffles, uint64_t seed, struct event *copy)
{
  begin(shuffles, seed, work_and_sleep);
  end_all();
  CHECK_EQ(nevents, (HANDS - 1) * STEPS);
  memcpy(copy, events, sizeof(events));
}

static bool are_equal(const struct event *a, const struct event *b)
{
  for (int i = 0; i < nevents; i++)
    if (a[i].number != b[i].number || a[i].now_ns != b[i].now_ns)
      return false;
  return true;
}

static void is_the_same_each_time(void)
{
  static struct event first[LOG], second[LOG];
  int differ = 0;
  for (uint64_t seed = 1; seed <= 20; seed++) {
    run_once(true, seed, first);
    run_once(true, seed, second);
    CHECK(are_equal(first, second));
    run_once(true, seed + 1, second);
    differ += !are_equal(first, second);
  }
  CHECK(differ > 15);
}

static void goes_in_order_without_a_seed(void)
{
  static struct event log[LOG];
  run_once(false, 0, log);
  for (int i = 0; i < HANDS - 1; i++)
    CHECK_EQ(log[i].number, i + 1);
  for (int i = 1; i < nevents; i++)
    CHECK(log[i].now_ns >= log[i - 1].now_ns);
}

/* ---- time ---------------------------------------------------------------- */

static void *listen_for_news(void *arg)
{
  struct hand *self = arg;
  uj_turns_take(self->member);
  hand_host(self);
  while (self->box == 0)
    pass_until(self, UJ_NEVER);
  note(self);
  uj_member_leave(self->member);
  return NULL;
}

static void moves_time_when_all_wait(void)
{
  begin(false, 0, listen_for_news);
  pass_until(&hands[0], 5000); /* the others wait for ever */
  CHECK_EQ(uj_turns_now(hands[0].member), 5000);
  CHECK_EQ(uj_turns_due(hands[0].member), UJ_NEVER);
  for (int i = 1; i < HANDS; i++)
    hands[i].box = 1;
  CHECK_EQ(uj_turns_due(hands[0].member), 0);
  end_all();
  CHECK_EQ(nevents, HANDS - 1);
  CHECK_EQ(events[0].now_ns, 5000);
}

static void tells_the_founder_that_all_wait_for_ever(void)
{
  begin(true, 3, listen_for_news);
  CHECK_EQ(uj_turns_verdict(hands[0].member), UJ_CREW_GOES_ON);
  pass_until(&hands[0], UJ_NEVER);
  CHECK_EQ(uj_turns_verdict(hands[0].member), UJ_CREW_IS_STUCK);
  CHECK_EQ(uj_turns_verdict(hands[0].member), UJ_CREW_GOES_ON);
  for (int i = 1; i < HANDS; i++)
    hands[i].box = 1;
  end_all();
}

static void tells_the_founder_that_only_limits_are_left(void)
{
  struct uj_pass pass = {
      .now_ns = 1000, .due_ns = 9000, .limits = UJ_MEMBER_HAS_LIMITS};
  begin(true, 4, listen_for_news);
  uj_turns_pass(hands[0].member, &pass);
  uj_turns_take(hands[0].member);
  CHECK_EQ(uj_turns_verdict(hands[0].member), UJ_CREW_IS_LIMITED);
  CHECK_EQ(uj_turns_now(hands[0].member), 1000);
  pass.limits = UJ_MEMBER_HAS_TOLD;
  uj_turns_pass(hands[0].member, &pass);
  uj_turns_take(hands[0].member);
  CHECK_EQ(uj_turns_verdict(hands[0].member), UJ_CREW_GOES_ON);
  CHECK_EQ(uj_turns_now(hands[0].member), 9000);
  for (int i = 1; i < HANDS; i++)
    hands[i].box = 1;
  end_all();
}

/* ---- the outside --------------------------------------------------------- */

static atomic_bool is_there;

static void *wait_outside(void *arg)
{
  struct hand *self = arg;
  struct uj_pass pass = {
      .now_ns = 0, .due_ns = 2000, .is_outside = true, .is_listening = true};
  uj_turns_take(self->member);
  hand_host(self);
  uj_turns_pass(self->member, &pass);
  while (!is_there && !uj_turns_has(self->member))
    hand_sleep(self);
  uj_turns_ask(self->member);
  uj_turns_take(self->member);
  note(self);
  uj_member_leave(self->member);
  return NULL;
}

static void keeps_the_time_while_one_waits_outside(void)
{
  begin(false, 0, wait_outside);
  pass_until(&hands[0], 0);
  CHECK_EQ(uj_turns_now(hands[0].member), 1000);
  is_there = true;
  for (int i = 1; i < HANDS; i++)
    hand_wake(&hands[i]);
  pass_until(&hands[0], 1500);
  end_all();
  CHECK_EQ(nevents, HANDS - 1);
  CHECK_EQ(events[0].now_ns, 1000);
}

/* ---- the date, and texts ------------------------------------------------- */

static void *look_at_date(void *arg)
{
  struct hand *self = arg;
  uj_turns_take(self->member);
  hand_host(self);
  while (uj_turns_date(self->member) != 77)
    pass_until(self, UJ_NEVER);
  note(self);
  uj_member_leave(self->member);
  return NULL;
}

static void has_one_date(void)
{
  begin(true, 5, look_at_date);
  pass_until(&hands[0], 2000);
  CHECK_EQ(nevents, 0);
  uj_turns_set_date(hands[0].member, 77);
  pass_until(&hands[0], 3000);
  CHECK_EQ(nevents, HANDS - 1);
  end_all();
}

static void *tell_number(void *arg)
{
  struct hand *self = arg;
  uj_turns_take(self->member);
  hand_host(self);
  while (self->box == 0) {
    if (uj_member_is_asked(self->member)) {
      char *text = calloc(1, 2);
      text[0] = (char)('0' + self->number);
      uj_member_tell(self->member, text);
    }
    pass_until(self, UJ_NEVER);
  }
  uj_member_leave(self->member);
  return NULL;
}

static void collects_texts_in_turns(void)
{
  char *text;
  begin(true, 9, tell_number);
  pass_until(&hands[0], UJ_NEVER);
  text = uj_crew_collect(hands[0].member, 0);
  CHECK_STR(text, "123");
  free(text);
  for (int i = 1; i < HANDS; i++)
    hands[i].box = 1;
  end_all();
}

int main(void)
{
  static const struct check_test tests[] = {
      {"with the same seed the same happens in the same order",
       is_the_same_each_time},
      {"without a seed the members go in order", goes_in_order_without_a_seed},
      {"time moves when all wait", moves_time_when_all_wait},
      {"the founder hears when all wait for ever",
       tells_the_founder_that_all_wait_for_ever},
      {"the founder hears that only limits are left, before time moves",
       tells_the_founder_that_only_limits_are_left},
      {"time stands still while a member waits for the outside",
       keeps_the_time_while_one_waits_outside},
      {"all have one date", has_one_date},
      {"the founder collects a text of each member", collects_texts_in_turns},
  };
  return CHECK_RUN(tests);
}
