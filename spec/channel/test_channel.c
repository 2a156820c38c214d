/* src/channel/channel.c and inbox.c, step by step, in one thread. */
#include "seats.h"

static struct uj_channel *channel;
static struct uj_inbox *inbox;
static struct uj_seat a, b, c;

static void begin(uint64_t capacity, enum uj_seat_kind kind)
{
  channel = new_channel(capacity);
  inbox = new_inbox();
  uj_seat_init(&a, kind, inbox);
  uj_seat_init(&b, kind, inbox);
  uj_seat_init(&c, kind, inbox);
}

static void end(void)
{
  CHECK(uj_channel_is_sound(channel));
  drop_channel(channel);
  uj_inbox_end(inbox);
}

static enum uj_channel_result sit_and_put(struct uj_seat *seat, int number)
{
  return uj_channel_put(channel, new_message(number), seat);
}

static enum uj_channel_result sit_and_get(struct uj_seat *seat)
{
  struct uj_parcel *parcel = NULL;
  return uj_channel_get(channel, &parcel, seat);
}

static void is_first_in_first_out(void)
{
  begin(3, UJ_SEAT_GETTER);
  CHECK_EQ(get_number(channel), -1);
  for (int i = 1; i <= 3; i++)
    CHECK_EQ(put_number(channel, i), UJ_CHANNEL_DONE);
  CHECK_EQ(put_number(channel, 4), UJ_CHANNEL_WAIT);
  CHECK_EQ(uj_channel_count(channel), 3);
  for (int i = 1; i <= 3; i++)
    CHECK_EQ(get_number(channel), i);
  CHECK_EQ(get_number(channel), -1);
  end();
}

static void offers_in_order_and_nobody_overtakes(void)
{
  begin(3, UJ_SEAT_GETTER);
  CHECK_EQ(sit_and_get(&a), UJ_CHANNEL_WAIT);
  CHECK_EQ(sit_and_get(&b), UJ_CHANNEL_WAIT);
  CHECK_EQ(put_number(channel, 1), UJ_CHANNEL_DONE);
  CHECK(take_news(inbox, &a));
  CHECK(!take_news(inbox, &b));
  CHECK_EQ(get_number(channel), -1); /* it is kept for the first */
  CHECK_EQ(accept_number(channel, &b), -1);
  CHECK_EQ(accept_number(channel, &a), 1);
  CHECK_EQ(put_number(channel, 2), UJ_CHANNEL_DONE);
  CHECK_EQ(put_number(channel, 3), UJ_CHANNEL_DONE);
  CHECK_EQ(get_number(channel), 2); /* one is left for the other */
  CHECK_EQ(accept_number(channel, &b), 3);
  end();
}

static void passes_an_offer_on(void)
{
  begin(1, UJ_SEAT_GETTER);
  CHECK_EQ(sit_and_get(&a), UJ_CHANNEL_WAIT);
  CHECK_EQ(sit_and_get(&b), UJ_CHANNEL_WAIT);
  CHECK_EQ(put_number(channel, 1), UJ_CHANNEL_DONE);
  CHECK(!uj_channel_leave(channel, &a));
  CHECK(take_news(inbox, &a));
  CHECK(take_news(inbox, &b));
  CHECK(!uj_channel_leave(channel, &b));
  CHECK_EQ(get_number(channel), 1);
  end();
}

static void puts_for_who_waits(void)
{
  begin(1, UJ_SEAT_PUTTER);
  CHECK_EQ(sit_and_put(&a, 1), UJ_CHANNEL_DONE);
  CHECK_EQ(sit_and_put(&a, 2), UJ_CHANNEL_WAIT);
  CHECK_EQ(sit_and_put(&b, 3), UJ_CHANNEL_WAIT);
  CHECK_EQ(uj_channel_count(channel), 1);
  CHECK_EQ(get_number(channel), 1);
  CHECK(take_news(inbox, &a));
  CHECK_EQ(uj_channel_count(channel), 1);
  CHECK_EQ(uj_channel_ask(channel, &a), UJ_CHANNEL_DONE);
  CHECK_EQ(uj_channel_ask(channel, &b), UJ_CHANNEL_WAIT);
  CHECK_EQ(put_number(channel, 4), UJ_CHANNEL_WAIT);
  CHECK_EQ(get_number(channel), 2);
  CHECK(uj_channel_leave(channel, &b)); /* it has happened by then */
  CHECK(take_news(inbox, &b));
  CHECK_EQ(get_number(channel), 3);
  end();
}

static void takes_the_message_of_a_putter_back(void)
{
  begin(1, UJ_SEAT_PUTTER);
  CHECK_EQ(put_number(channel, 1), UJ_CHANNEL_DONE);
  CHECK_EQ(sit_and_put(&a, 2), UJ_CHANNEL_WAIT);
  CHECK_EQ(sit_and_put(&b, 3), UJ_CHANNEL_WAIT);
  CHECK(!uj_channel_leave(channel, &a));
  CHECK_EQ(read_message(a.parcel), 2);
  CHECK_EQ(get_number(channel), 1);
  CHECK_EQ(get_number(channel), 3);
  CHECK(uj_channel_leave(channel, &b));
  CHECK(take_news(inbox, &b));
  end();
}

static void withdraws_the_offer_of_what_a_putter_has_kept(void)
{
  begin(0, UJ_SEAT_GETTER);
  b.kind = UJ_SEAT_PUTTER;
  CHECK_EQ(sit_and_get(&a), UJ_CHANNEL_WAIT);
  CHECK_EQ(sit_and_put(&b, 1), UJ_CHANNEL_WAIT);
  CHECK(take_news(inbox, &a));
  CHECK(!uj_channel_leave(channel, &b));
  CHECK_EQ(read_message(b.parcel), 1);
  CHECK_EQ(accept_number(channel, &a), -1);
  CHECK(uj_channel_is_sound(channel));
  CHECK(!uj_channel_leave(channel, &a));
  end();
}

static void meets_with_capacity_0(void)
{
  begin(0, UJ_SEAT_PUTTER);
  CHECK_EQ(put_number(channel, 1), UJ_CHANNEL_WAIT);
  CHECK_EQ(sit_and_put(&a, 1), UJ_CHANNEL_WAIT);
  CHECK_EQ(uj_channel_count(channel), 0);
  CHECK_EQ(get_number(channel), 1);
  CHECK_EQ(uj_channel_ask(channel, &a), UJ_CHANNEL_DONE);
  CHECK(take_news(inbox, &a));
  end();
}

static void closes(void)
{
  begin(1, UJ_SEAT_PUTTER);
  CHECK_EQ(put_number(channel, 1), UJ_CHANNEL_DONE);
  CHECK_EQ(sit_and_put(&a, 2), UJ_CHANNEL_WAIT);
  uj_channel_close(channel);
  uj_channel_close(channel);
  CHECK(take_news(inbox, &a));
  CHECK_EQ(uj_channel_ask(channel, &a), UJ_CHANNEL_CLOSED);
  CHECK_EQ(read_message(a.parcel), 2);
  CHECK_EQ(put_number(channel, 3), UJ_CHANNEL_CLOSED);
  CHECK_EQ(get_number(channel), 1);
  CHECK_EQ(get_number(channel), -2);
  end();
}

/* One of two getters may still leave its message to the other. */
static void closes_getters_when_nothing_is_left(void)
{
  begin(2, UJ_SEAT_GETTER);
  CHECK_EQ(sit_and_get(&a), UJ_CHANNEL_WAIT);
  CHECK_EQ(sit_and_get(&b), UJ_CHANNEL_WAIT);
  CHECK_EQ(sit_and_get(&c), UJ_CHANNEL_WAIT);
  CHECK_EQ(put_number(channel, 1), UJ_CHANNEL_DONE);
  uj_channel_close(channel);
  CHECK(take_news(inbox, &a));
  CHECK(!take_news(inbox, &b));
  CHECK_EQ(get_number(channel), -1);
  CHECK(!uj_channel_leave(channel, &a));
  CHECK(take_news(inbox, &b));
  CHECK_EQ(accept_number(channel, &b), 1);
  CHECK(take_news(inbox, &c));
  CHECK_EQ(accept_number(channel, &c), -2);
  end();
}

static void puts_back_to_the_front(void)
{
  struct uj_parcel *parcel;
  begin(2, UJ_SEAT_GETTER);
  put_number(channel, 1);
  put_number(channel, 2);
  CHECK_EQ(uj_channel_get(channel, &parcel, NULL), UJ_CHANNEL_DONE);
  put_number(channel, 3);
  uj_channel_return(channel, parcel);
  CHECK_EQ(uj_channel_count(channel), 3);
  CHECK_EQ(put_number(channel, 4), UJ_CHANNEL_WAIT);
  CHECK_EQ(get_number(channel), 1);
  CHECK_EQ(get_number(channel), 2);
  CHECK_EQ(get_number(channel), 3);
  end();
}

static void tells_watchers_of_what_is_left_over(void)
{
  begin(2, UJ_SEAT_WATCHER);
  b.kind = UJ_SEAT_GETTER;
  uj_channel_watch(channel, &a);
  uj_channel_watch(channel, &a);
  CHECK_EQ(sit_and_get(&b), UJ_CHANNEL_WAIT);
  put_number(channel, 1);
  CHECK(!take_news(inbox, &a));
  CHECK(!uj_channel_leave(channel, &b));
  CHECK(take_news(inbox, &b));
  CHECK(take_news(inbox, &a));
  CHECK_EQ(get_number(channel), 1);
  uj_channel_close(channel);
  CHECK(take_news(inbox, &a));
  uj_channel_leave(channel, &a);
  end();
}

/* ---- the inbox ----------------------------------------------------------- */

static void count_ring(void *arg)
{
  ++*(int *)arg;
}

static void wakes_a_sleeper_once(void)
{
  int rings = 0;
  begin(9, UJ_SEAT_GETTER);
  sit_and_get(&a);
  sit_and_get(&b);
  CHECK(uj_inbox_fall_asleep(inbox, count_ring, &rings));
  put_number(channel, 1);
  put_number(channel, 2);
  CHECK_EQ(rings, 1);
  CHECK(uj_inbox_has_news(inbox));
  CHECK(!uj_inbox_fall_asleep(inbox, count_ring, &rings));
  CHECK(uj_inbox_take(inbox) == &a.news);
  CHECK(uj_inbox_take(inbox) == &b.news);
  CHECK(uj_inbox_take(inbox) == NULL);
  CHECK_EQ(accept_number(channel, &a), 1);
  CHECK_EQ(accept_number(channel, &b), 2);
  sit_and_get(&a);
  CHECK(uj_inbox_fall_asleep(inbox, count_ring, &rings));
  uj_inbox_wake_up(inbox);
  put_number(channel, 3);
  CHECK_EQ(rings, 1); /* it looks by itself */
  uj_channel_leave(channel, &a);
  uj_inbox_forget(inbox, &a.news);
  CHECK(!uj_inbox_has_news(inbox));
  end();
}

/* ---- what is carried ----------------------------------------------------- */

static void drops_what_messages_carry(void)
{
  struct uj_channel *other = new_channel(1);
  struct uj_carried carried[2] = {
      {.shared = uj_shared_take(uj_channel_shared(other))},
      {.shared = uj_shared_take(uj_channel_shared(other)), .before = 1}};
  struct uj_parcel *parcel = uj_parcel_new(
      (const char *)carried, sizeof(carried), sizeof(carried[0]) + 1);
  begin(1, UJ_SEAT_GETTER);
  CHECK(uj_shared_is_shared(uj_channel_shared(other)));
  CHECK_EQ(uj_channel_put(channel, parcel, NULL), UJ_CHANNEL_DONE);
  end();
  CHECK(!uj_shared_is_shared(uj_channel_shared(other)));
  drop_channel(other);
}

/* ---- circles ------------------------------------------------------------- */

/* A message that carries a channel, and another if that is not NULL. */
static struct uj_parcel *new_carrier(struct uj_channel *first,
                                     struct uj_channel *second)
{
  struct uj_carried carried[2] = {{.before = UJ_CARRIES_NONE}, {.before = 1}};
  size_t n = second == NULL ? 1 : 2;
  struct uj_parcel *parcel;
  carried[0].shared = uj_shared_take(uj_channel_shared(first));
  if (second != NULL)
    carried[1].shared = uj_shared_take(uj_channel_shared(second));
  parcel = uj_parcel_new((const char *)carried, n * sizeof(carried[0]),
                         (n - 1) * sizeof(carried[0]) + 1);
  if (parcel == NULL)
    abort();
  return parcel;
}

static void send(struct uj_channel *to, struct uj_channel *first,
                 struct uj_channel *second)
{
  CHECK_EQ(uj_channel_put(to, new_carrier(first, second), NULL),
           UJ_CHANNEL_DONE);
}

/* With a handle, as Lua states have it, and nothing else. */
static struct uj_channel *new_held(void)
{
  struct uj_channel *held = new_channel(UINT64_MAX);
  uj_channel_hold(held);
  uj_shared_drop(uj_channel_shared(held));
  return held;
}

/* Whether it was freed can only be told by what tells of leaks, and by what it
 * carried. */
static bool has_others(struct uj_channel *held)
{
  return uj_shared_is_shared(uj_channel_shared(held));
}

static void frees_a_channel_in_itself(void)
{
  struct uj_channel *witness = new_held(), *self = new_held();
  send(self, self, witness);
  CHECK(has_others(witness));
  uj_channel_let_go(self);
  CHECK(!has_others(witness));
  uj_channel_let_go(witness);
}

static void frees_channels_in_each_other(void)
{
  struct uj_channel *witness = new_held();
  struct uj_channel *one = new_held(), *two = new_held(), *three = new_held();
  send(one, two, witness);
  send(two, three, one);
  send(three, one, three);
  uj_channel_let_go(one);
  CHECK(has_others(witness));
  uj_channel_let_go(three);
  CHECK(has_others(witness));
  uj_channel_let_go(two);
  CHECK(!has_others(witness));
  uj_channel_let_go(witness);
}

static void keeps_what_can_be_reached(void)
{
  struct uj_channel *witness = new_held(), *root = new_held();
  struct uj_channel *one = new_held(), *two = new_held();
  struct uj_parcel *parcel;
  send(one, two, witness);
  send(two, one, NULL);
  send(root, one, NULL);
  uj_channel_let_go(one);
  uj_channel_let_go(two);
  CHECK(has_others(witness)); /* by the root */
  CHECK_EQ(uj_channel_get(root, &parcel, NULL), UJ_CHANNEL_DONE);
  CHECK(has_others(witness)); /* by a message on its way */
  uj_parcel_free(parcel);
  CHECK(!has_others(witness));
  uj_channel_let_go(root);
  uj_channel_let_go(witness);
}

/* A circle that refers to one that lives on, and one that lives on. */
static void frees_only_the_part_that_is_garbage(void)
{
  struct uj_channel *witness = new_held(), *kept = new_held();
  struct uj_channel *one = new_held(), *two = new_held();
  struct uj_parcel *way = new_carrier(two, NULL);
  send(one, one, two);
  send(one, witness, NULL);
  send(two, kept, NULL);
  uj_channel_let_go(two);
  uj_channel_let_go(one);
  CHECK(!has_others(witness));
  CHECK(has_others(kept));
  uj_parcel_free(way);
  CHECK(!has_others(kept));
  uj_channel_let_go(kept);
  uj_channel_let_go(witness);
}

static void frees_a_long_chain(void)
{
  struct uj_channel *witness = new_held(), *last = new_held(), *next;
  send(last, witness, NULL);
  for (int i = 0; i < 3000; i++) {
    next = new_held();
    send(next, last, NULL);
    uj_channel_let_go(last);
    last = next;
  }
  uj_channel_let_go(last);
  CHECK(!has_others(witness));
  uj_channel_let_go(witness);
}

int main(void)
{
  static const struct check_test tests[] = {
      {"a channel is first in, first out", is_first_in_first_out},
      {"getters are offered messages in order, and nobody overtakes them",
       offers_in_order_and_nobody_overtakes},
      {"a getter that leaves passes its offer on", passes_an_offer_on},
      {"a message goes in for a putter that waits, when there is room",
       puts_for_who_waits},
      {"a putter that leaves has its message back",
       takes_the_message_of_a_putter_back},
      {"a getter waits on when the putter of its message has left",
       withdraws_the_offer_of_what_a_putter_has_kept},
      {"with capacity 0 a message goes over when both are there",
       meets_with_capacity_0},
      {"a closed channel takes nothing, and can be emptied", closes},
      {"getters of a closed channel wait for what may be left to them",
       closes_getters_when_nothing_is_left},
      {"a message that is put back is the first again, even if it is too many",
       puts_back_to_the_front},
      {"watchers hear of what is there for those who do not wait",
       tells_watchers_of_what_is_left_over},
      {"a thread that sleeps is woken once", wakes_a_sleeper_once},
      {"a message that nobody gets drops what it carries",
       drops_what_messages_carry},
      {"a channel in itself is freed", frees_a_channel_in_itself},
      {"channels in each other are freed", frees_channels_in_each_other},
      {"but not while somebody can get at them", keeps_what_can_be_reached},
      {"of what hangs together only that is freed which nobody can get",
       frees_only_the_part_that_is_garbage},
      {"a long chain of channels is freed", frees_a_long_chain},
  };
  return CHECK_RUN(tests);
}
