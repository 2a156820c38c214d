/* A crew on the real clock: it is stuck when all its members wait for each
 * other, which is never said too early, and always at some time. Meant for
 * ThreadSanitizer, too. */
#include "hands.h"

enum { HANDS = 4, ROUNDS = 2000, BURST = 6 };

static struct hand hands[HANDS];
static atomic_int under_way; /* things that were sent and are not used up */
static atomic_bool ends;

static void send_to(struct hand *to)
{
  atomic_fetch_add(&under_way, 1);
  atomic_fetch_add(&to->box, 1);
  hand_wake(to);
}

static unsigned draw(struct hand *self, unsigned below)
{
  self->random = self->random * UINT64_C(6364136223846793005) + 1;
  return (unsigned)(self->random >> 33) % below;
}

/* Uses up a thing, which leads to others now and then: to less than one on the
 * average, so that they die out at some time. */
static void use(struct hand *self)
{
  unsigned n = draw(self, 4) == 0 ? draw(self, 5) : 0;
  while (n-- > 0)
    send_to(&hands[draw(self, HANDS)]);
  atomic_fetch_sub(&self->box, 1);
  atomic_fetch_sub(&under_way, 1);
}

/* Rests once. Returns what the founder hears. Now and then it is woken for
 * nothing. */
static bool rest(struct hand *self)
{
  uj_member_rest(self->member, UJ_MEMBER_HAS_NONE);
  if (draw(self, 8) == 0)
    hand_wake(self);
  hand_sleep(self);
  return uj_member_rise(self->member) == UJ_CREW_IS_STUCK;
}

static void use_all(struct hand *self)
{
  while (self->box > 0)
    use(self);
}

static void *run_until_end(void *arg)
{
  struct hand *self = arg;
  hand_host(self);
  while (!ends) {
    use_all(self);
    (void)rest(self);
  }
  uj_member_leave(self->member);
  return NULL;
}

static void found(void)
{
  hand_init(&hands[0], 0, uj_crew_found(false));
  hand_host(&hands[0]);
}

static void add(int number)
{
  hand_init(&hands[number], number, uj_crew_add(hands[0].member));
}

static void end_all(void)
{
  ends = true;
  for (int i = 1; i < HANDS; i++) {
    hand_wake(&hands[i]);
    pthread_join(hands[i].thread, NULL);
    hand_end(&hands[i]);
  }
  uj_member_leave(hands[0].member);
  hand_end(&hands[0]);
}

static void is_stuck_when_nothing_is_under_way(void)
{
  found();
  for (int i = 1; i < HANDS; i++) {
    add(i);
    hand_start(&hands[i], run_until_end);
  }
  for (int round = 0; round < ROUNDS; round++) {
    for (int i = 0; i < BURST; i++)
      send_to(&hands[draw(&hands[0], HANDS)]);
    do
      use_all(&hands[0]);
    while (!rest(&hands[0]));
    CHECK_EQ(under_way, 0);
  }
  end_all();
}

static void is_not_stuck_while_one_has_news(void)
{
  found();
  add(1);
  hand_host(&hands[1]);
  hands[1].box = 1;
  uj_member_rest(hands[1].member, UJ_MEMBER_HAS_NONE);
  uj_member_rest(hands[0].member, UJ_MEMBER_HAS_NONE);
  CHECK(!uj_member_rise(hands[0].member));
  (void)uj_member_rise(hands[1].member);
  hands[1].box = 0;
  uj_member_rest(hands[0].member, UJ_MEMBER_HAS_NONE);
  uj_member_rest(hands[1].member, UJ_MEMBER_HAS_NONE);
  CHECK(hands[0].is_woken);
  CHECK(uj_member_rise(hands[0].member));
  CHECK(!uj_member_rise(hands[0].member)); /* it hears so once */
  uj_member_leave(hands[1].member);
  hand_end(&hands[1]);
  uj_member_leave(hands[0].member);
  hand_end(&hands[0]);
}

static void is_not_stuck_any_more_when_one_has_risen(void)
{
  found();
  add(1);
  hand_host(&hands[1]);
  uj_member_rest(hands[1].member, UJ_MEMBER_HAS_NONE);
  uj_member_rest(hands[0].member, UJ_MEMBER_HAS_NONE);
  CHECK(!uj_member_rise(hands[1].member)); /* only the founder hears it */
  CHECK(!uj_member_rise(hands[0].member));
  uj_member_leave(hands[1].member);
  hand_end(&hands[1]);
  uj_member_leave(hands[0].member);
  hand_end(&hands[0]);
}

static void is_stuck_when_the_last_that_runs_leaves(void)
{
  found();
  add(1);
  uj_member_rest(hands[0].member, UJ_MEMBER_HAS_NONE);
  uj_member_leave(hands[1].member);
  CHECK(uj_member_rise(hands[0].member));
  hand_end(&hands[1]);
  uj_member_leave(hands[0].member);
  hand_end(&hands[0]);
}

static enum uj_crew_verdict verdict_of(enum uj_member_limits own,
                                       enum uj_member_limits other)
{
  uj_member_rest(hands[0].member, own);
  uj_member_rest(hands[1].member, other);
  (void)uj_member_rise(hands[0].member); /* another look when it rests again */
  hands[0].is_woken = false;
  uj_member_rest(hands[0].member, own);
  CHECK_EQ(uj_member_rise(hands[1].member), UJ_CREW_GOES_ON);
  uj_member_rest(hands[1].member, other);
  return uj_member_rise(hands[0].member);
}

static void rise_all(void)
{
  for (int i = 0; i < 2; i++)
    (void)uj_member_rise(hands[i].member);
}

static void hears_that_only_limits_are_left(void)
{
  found();
  add(1);
  hand_host(&hands[1]);
  CHECK_EQ(verdict_of(UJ_MEMBER_HAS_LIMITS, UJ_MEMBER_HAS_NONE),
           UJ_CREW_IS_LIMITED);
  rise_all();
  CHECK_EQ(verdict_of(UJ_MEMBER_HAS_NONE, UJ_MEMBER_HAS_LIMITS),
           UJ_CREW_IS_LIMITED);
  rise_all();
  CHECK_EQ(verdict_of(UJ_MEMBER_HAS_TOLD, UJ_MEMBER_HAS_LIMITS),
           UJ_CREW_GOES_ON);
  CHECK(!hands[0].is_woken);
  rise_all();
  CHECK_EQ(verdict_of(UJ_MEMBER_HAS_NONE, UJ_MEMBER_HAS_NONE),
           UJ_CREW_IS_STUCK);
  rise_all();
  uj_member_leave(hands[1].member);
  hand_end(&hands[1]);
  uj_member_leave(hands[0].member);
  hand_end(&hands[0]);
}

static void is_never_stuck_when_it_is_fed(void)
{
  hand_init(&hands[0], 0, uj_crew_found(true));
  hand_host(&hands[0]);
  uj_member_rest(hands[0].member, UJ_MEMBER_HAS_NONE);
  CHECK(!hands[0].is_woken);
  CHECK(!uj_member_rise(hands[0].member));
  uj_member_leave(hands[0].member);
  hand_end(&hands[0]);
}

/* ---- telling ------------------------------------------------------------- */

static char *copy_of(const char *text)
{
  char *copy = malloc(strlen(text) + 1);
  return copy == NULL ? NULL : strcpy(copy, text);
}

static void *tell_and_rest(void *arg)
{
  static const char *const texts[HANDS] = {"", "one ", NULL, "three"};
  struct hand *self = arg;
  hand_host(self);
  while (!ends) {
    if (uj_member_is_asked(self->member))
      uj_member_tell(self->member, texts[self->number] == NULL
                                       ? NULL
                                       : copy_of(texts[self->number]));
    (void)rest(self);
  }
  uj_member_leave(self->member);
  return NULL;
}

static void collects_the_texts_in_order(void)
{
  char *text;
  found();
  for (int i = 1; i < HANDS; i++) {
    add(i);
    hand_start(&hands[i], tell_and_rest);
  }
  while (!rest(&hands[0]))
    continue;
  for (int i = 0; i < 3; i++) {
    text = uj_crew_collect(hands[0].member, 600);
    CHECK_STR(text, "one three");
    free(text);
  }
  CHECK(!uj_member_is_asked(hands[0].member));
  end_all();
}

/* Its thread does not even begin. */
static void collects_nothing_from_who_does_not_answer(void)
{
  char *text;
  found();
  add(1);
  text = uj_crew_collect(hands[0].member, 600);
  CHECK_STR(text, "");
  free(text);
  hand_host(&hands[1]);
  text = uj_crew_collect(hands[0].member, 0);
  CHECK_STR(text, "");
  free(text);
  uj_member_tell(hands[1].member, copy_of("too late"));
  uj_member_leave(hands[1].member);
  hand_end(&hands[1]);
  uj_member_leave(hands[0].member);
  hand_end(&hands[0]);
}

int main(void)
{
  static const struct check_test tests[] = {
      {"a crew is stuck when nothing is under way, and only then",
       is_stuck_when_nothing_is_under_way},
      {"it is not stuck while a member has news that it has not heard",
       is_not_stuck_while_one_has_news},
      {"it is not stuck any more when a member has risen",
       is_not_stuck_any_more_when_one_has_risen},
      {"it is stuck when the last member that runs leaves",
       is_stuck_when_the_last_that_runs_leaves},
      {"the founder hears that only limits are left, unless it has told so",
       hears_that_only_limits_are_left},
      {"it is never stuck when others can send something",
       is_never_stuck_when_it_is_fed},
      {"the founder collects a text of each member, in order",
       collects_the_texts_in_order},
      {"it does not wait for long for those that do not answer",
       collects_nothing_from_who_does_not_answer},
  };
  return CHECK_RUN(tests);
}
