/* A channel between threads: what is put is got once, whoever leaves or is in a
 * hurry meanwhile. Meant for ThreadSanitizer, too. */
#include "seats.h"

#include <pthread.h>
#include <stdatomic.h>

enum { PUTTERS = 2, GETTERS = 2, EACH = 20000 };

/* Where a thread sleeps until its inbox wakes it. */
struct sleeper {
  pthread_mutex_t lock;
  pthread_cond_t woken;
  bool is_woken;
};

struct actor {
  struct uj_inbox *inbox;
  struct uj_seat seat;
  struct sleeper sleeper;
  uint64_t seed;
  uint64_t sum, count; /* of what it has put, or got */
  int last[PUTTERS];   /* of each putter, the last number that came */
  int number;
};

static struct uj_channel *channel;
static struct actor putters[PUTTERS], getters[GETTERS];
static atomic_int nputting = PUTTERS;

static void wake(void *arg)
{
  struct sleeper *sleeper = arg;
  pthread_mutex_lock(&sleeper->lock);
  sleeper->is_woken = true;
  pthread_cond_signal(&sleeper->woken);
  pthread_mutex_unlock(&sleeper->lock);
}

/* Sleeps until there is news, and takes it out. */
static void sleep_for_news(struct actor *self)
{
  struct sleeper *sleeper = &self->sleeper;
  if (uj_inbox_fall_asleep(self->inbox, wake, sleeper)) {
    pthread_mutex_lock(&sleeper->lock);
    while (!sleeper->is_woken)
      pthread_cond_wait(&sleeper->woken, &sleeper->lock);
    sleeper->is_woken = false;
    pthread_mutex_unlock(&sleeper->lock);
  }
  uj_inbox_wake_up(self->inbox);
  while (uj_inbox_take(self->inbox) != NULL)
    continue;
}

static bool is_in_a_hurry(struct actor *self)
{
  return check_below(&self->seed, 4) == 0;
}

static void init(struct actor *self, enum uj_seat_kind kind, int number)
{
  self->inbox = new_inbox();
  uj_seat_init(&self->seat, kind, self->inbox);
  pthread_mutex_init(&self->sleeper.lock, NULL);
  pthread_cond_init(&self->sleeper.woken, NULL);
  self->seed = (uint64_t)number;
  self->number = number;
  for (int i = 0; i < PUTTERS; i++)
    self->last[i] = -1;
}

static void term(struct actor *self)
{
  uj_inbox_end(self->inbox);
  pthread_cond_destroy(&self->sleeper.woken);
  pthread_mutex_destroy(&self->sleeper.lock);
}

/* ---- putting ------------------------------------------------------------- */

/* Whether it was put: those in a hurry do not wait. */
static bool put(struct actor *self, int number)
{
  bool hurries = is_in_a_hurry(self);
  enum uj_channel_result result =
      uj_channel_put(channel, new_message(number), &self->seat);
  while (result == UJ_CHANNEL_WAIT && !hurries) {
    sleep_for_news(self);
    result = uj_channel_ask(channel, &self->seat);
  }
  if (result == UJ_CHANNEL_WAIT && uj_channel_leave(channel, &self->seat))
    result = UJ_CHANNEL_DONE;
  uj_inbox_forget(self->inbox, &self->seat.news);
  uj_parcel_free(self->seat.parcel);
  self->seat.parcel = NULL;
  return result == UJ_CHANNEL_DONE;
}

static void *run_putter(void *arg)
{
  struct actor *self = arg;
  for (int i = 0; i < EACH; i++)
    if (put(self, i * PUTTERS + self->number)) {
      self->sum += (uint64_t)(i * PUTTERS + self->number);
      self->count++;
    }
  if (atomic_fetch_sub(&nputting, 1) == 1)
    uj_channel_close(channel);
  return NULL;
}

/* ---- getting ------------------------------------------------------------- */

/* The next of each putter is one of its later ones. */
static void note(struct actor *self, int number)
{
  int *last = &self->last[number % PUTTERS];
  CHECK(number > *last);
  *last = number;
  self->sum += (uint64_t)number;
  self->count++;
}

/* Returns false when the channel is over. */
static bool get(struct actor *self)
{
  struct uj_parcel *parcel = NULL;
  bool hurries = is_in_a_hurry(self);
  enum uj_channel_result result = uj_channel_get(channel, &parcel, &self->seat);
  while (result == UJ_CHANNEL_WAIT && !hurries) {
    sleep_for_news(self);
    result = uj_channel_accept(channel, &parcel, &self->seat);
  }
  if (result == UJ_CHANNEL_WAIT)
    uj_channel_leave(channel, &self->seat);
  uj_inbox_forget(self->inbox, &self->seat.news);
  if (result == UJ_CHANNEL_DONE)
    note(self, read_message(parcel));
  return result != UJ_CHANNEL_CLOSED;
}

static void *run_getter(void *arg)
{
  while (get(arg))
    continue;
  return NULL;
}

/* ---- all together -------------------------------------------------------- */

static void play(uint64_t capacity)
{
  pthread_t threads[PUTTERS + GETTERS];
  uint64_t sum = 0, count = 0;
  channel = new_channel(capacity);
  for (int i = 0; i < PUTTERS; i++)
    init(&putters[i], UJ_SEAT_PUTTER, i);
  for (int i = 0; i < GETTERS; i++)
    init(&getters[i], UJ_SEAT_GETTER, PUTTERS + i);
  for (int i = 0; i < PUTTERS; i++)
    pthread_create(&threads[i], NULL, run_putter, &putters[i]);
  for (int i = 0; i < GETTERS; i++)
    pthread_create(&threads[PUTTERS + i], NULL, run_getter, &getters[i]);
  for (int i = 0; i < PUTTERS + GETTERS; i++)
    pthread_join(threads[i], NULL);
  for (int i = 0; i < PUTTERS; i++) {
    sum += putters[i].sum;
    count += putters[i].count;
    term(&putters[i]);
  }
  CHECK(count > 0);
  for (int i = 0; i < GETTERS; i++) {
    sum -= getters[i].sum;
    count -= getters[i].count;
    term(&getters[i]);
  }
  CHECK_EQ(sum, 0);
  CHECK_EQ(count, 0);
  CHECK(uj_channel_is_sound(channel));
  drop_channel(channel);
}

static void gets_each_once(void)
{
  play(10);
}

static void gets_each_once_with_little_room(void)
{
  play(1);
}

static void gets_each_once_without_room(void)
{
  play(0);
}

int main(void)
{
  static const struct check_test tests[] = {
      {"what threads put is got once, in the order of each of them",
       gets_each_once},
      {"also when there is room for one", gets_each_once_with_little_room},
      {"also when there is none", gets_each_once_without_room},
  };
  return CHECK_RUN(tests);
}
