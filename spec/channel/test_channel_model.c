/* All interleavings of a few operations of several threads on one channel,
 * compared with a queue that does one operation after the other.
 *
 * The channel does each of its steps under a lock, so what can differ is only
 * the order of the steps: of those that begin an operation, and of those that
 * end it when its thread goes on, because it was woken or because it does not
 * want to wait any longer. All orders are played. Of each is checked that
 *   - the invariants hold after each step;
 *   - the results could have come from one operation at a time, each at some
 *     moment between its beginning and its end (linearisability);
 *   - what was cancelled has not happened;
 *   - nobody who comes later overtakes those who wait;
 *   - nobody who was not woken could go on. */
#include "seats.h"

enum { MOST_THREADS = 4, MOST_OPS = 3, MOST_ALL = 8, MOST_STEPS = 64 };

enum kind { PUT, GET, TRY_PUT, TRY_GET, PUT_OR_LEAVE, GET_OR_LEAVE, CLOSE };

/* What a thread does, one after the other. */
struct script {
  uint64_t capacity;
  int nthreads;
  int nops[MOST_THREADS];
  enum kind ops[MOST_THREADS][MOST_OPS];
};

enum outcome { UNKNOWN, DONE, WOULD_WAIT, CLOSED, LEFT };

/* An operation that was begun. */
struct record {
  enum kind kind;
  int number; /* that is put, or was got */
  enum outcome outcome;
  int from, to; /* the steps in which it began and ended */
};

struct thread {
  int next; /* the operation that it does, or is about to begin */
  bool waits;
  struct uj_seat seat;
  struct record *record;
};

static const struct script *script;
static struct uj_channel *channel;
static struct uj_inbox *inbox;
static struct thread threads[MOST_THREADS];
static struct record records[MOST_ALL];
static int nrecords, nsteps;
static uint64_t nplayed;
static struct check_range range; /* of the random tests */

/* ---- the queue that does one operation after the other ------------------- */

struct queue {
  int numbers[MOST_ALL];
  int n;
  bool closed;
};

static bool is_put(enum kind kind)
{
  return kind == PUT || kind == TRY_PUT || kind == PUT_OR_LEAVE;
}

static bool is_get(enum kind kind)
{
  return kind == GET || kind == TRY_GET || kind == GET_OR_LEAVE;
}

/* With capacity 0 a put and its get happen together: then the queue holds the
 * number for an instant. So it may hold one, which the next operation must
 * take. */
static bool apply(struct queue *queue, const struct record *record)
{
  uint64_t room = script->capacity == 0 ? 1 : script->capacity;
  if (script->capacity == 0 && queue->n > 0 &&
      !(is_get(record->kind) && record->outcome == DONE))
    return false;
  if (record->kind == CLOSE) {
    queue->closed = true;
    return true;
  }
  if (record->outcome == LEFT)
    return true;
  if (is_put(record->kind)) {
    switch (record->outcome) {
    case DONE:
      if (queue->closed || (uint64_t)queue->n >= room)
        return false;
      queue->numbers[queue->n++] = record->number;
      return true;
    case CLOSED:
      return queue->closed;
    default: /* WOULD_WAIT */
      return !queue->closed &&
             (script->capacity == 0 || (uint64_t)queue->n >= room);
    }
  }
  switch (record->outcome) {
  case DONE:
    if (queue->n == 0 || queue->numbers[0] != record->number)
      return false;
    memmove(queue->numbers, queue->numbers + 1,
            (size_t)--queue->n * sizeof(queue->numbers[0]));
    return true;
  case CLOSED:
    return queue->closed && queue->n == 0;
  default: /* it may be kept for somebody who waits */
    return true;
  }
}

/* Whether some order of the records that are not `used` explains them. */
static bool has_order(struct queue queue, unsigned used)
{
  int first_end = MOST_STEPS + 1;
  bool all = true;
  for (int i = 0; i < nrecords; i++)
    if ((used & 1U << i) == 0 && records[i].outcome != UNKNOWN) {
      all = false;
      if (records[i].to < first_end)
        first_end = records[i].to;
    }
  if (all)
    return true;
  for (int i = 0; i < nrecords; i++) {
    struct queue next = queue;
    if ((used & 1U << i) != 0 || records[i].outcome == UNKNOWN ||
        records[i].from > first_end)
      continue;
    if (apply(&next, &records[i]) && has_order(next, used | 1U << i))
      return true;
  }
  return false;
}

/* ---- steps --------------------------------------------------------------- */

static void finish(struct thread *thread, enum outcome outcome, int number)
{
  struct record *record = thread->record;
  record->outcome = outcome;
  record->to = nsteps;
  if (number >= 0)
    record->number = number;
  thread->waits = false;
  thread->next++;
  uj_inbox_forget(inbox, &thread->seat.news);
}

static void begin_put(struct thread *thread, struct uj_seat *seat)
{
  struct uj_parcel *parcel = new_message(thread->record->number);
  enum uj_channel_result result = uj_channel_put(channel, parcel, seat);
  if (result == UJ_CHANNEL_DONE)
    finish(thread, DONE, -1);
  else if (result == UJ_CHANNEL_WAIT && seat != NULL)
    thread->waits = true;
  else {
    uj_parcel_free(parcel);
    finish(thread, result == UJ_CHANNEL_CLOSED ? CLOSED : WOULD_WAIT, -1);
  }
}

/* How many messages there are more than getters that came before. */
static int count_left_over(void)
{
  int n = (int)uj_channel_count(channel);
  for (int i = 0; i < script->nthreads; i++)
    if (threads[i].waits && threads[i].seat.state == UJ_SEAT_TAKEN)
      n += is_put(threads[i].record->kind) ? 1 : -1;
  return n;
}

static void begin_get(struct thread *thread, struct uj_seat *seat)
{
  struct uj_parcel *parcel = NULL;
  bool overtakes = count_left_over() <= 0;
  enum uj_channel_result result = uj_channel_get(channel, &parcel, seat);
  CHECK(result != UJ_CHANNEL_DONE || !overtakes);
  if (result == UJ_CHANNEL_DONE)
    finish(thread, DONE, read_message(parcel));
  else if (result == UJ_CHANNEL_WAIT && seat != NULL)
    thread->waits = true;
  else
    finish(thread, result == UJ_CHANNEL_CLOSED ? CLOSED : WOULD_WAIT, -1);
}

static void begin(struct thread *thread, enum kind kind)
{
  struct record *record = &records[nrecords];
  bool waits = kind != TRY_PUT && kind != TRY_GET;
  record->kind = kind;
  record->number = nrecords++;
  record->outcome = UNKNOWN;
  record->from = nsteps;
  thread->record = record;
  if (kind == CLOSE) {
    uj_channel_close(channel);
    finish(thread, DONE, -1);
    return;
  }
  uj_seat_init(&thread->seat, is_put(kind) ? UJ_SEAT_PUTTER : UJ_SEAT_GETTER,
               inbox);
  if (is_put(kind))
    begin_put(thread, waits ? &thread->seat : NULL);
  else
    begin_get(thread, waits ? &thread->seat : NULL);
}

/* The thread was woken. */
static void go_on(struct thread *thread)
{
  struct uj_parcel *parcel = NULL;
  enum uj_channel_result result;
  uj_inbox_forget(inbox, &thread->seat.news);
  if (is_put(thread->record->kind))
    result = uj_channel_ask(channel, &thread->seat);
  else
    result = uj_channel_accept(channel, &parcel, &thread->seat);
  if (result == UJ_CHANNEL_WAIT)
    return;
  uj_parcel_free(thread->seat.parcel); /* of a put into a closed channel */
  finish(thread, result == UJ_CHANNEL_DONE ? DONE : CLOSED,
         parcel != NULL ? read_message(parcel) : -1);
}

/* The thread does not want to wait any longer. */
static void leave(struct thread *thread)
{
  bool done = uj_channel_leave(channel, &thread->seat);
  uj_parcel_free(thread->seat.parcel);
  finish(thread, done ? DONE : LEFT, -1);
}

/* ---- all orders ---------------------------------------------------------- */

enum { BEGIN, GO_ON, LEAVE, MOVES };

static bool can(const struct thread *thread, int move)
{
  enum kind kind = thread->waits ? thread->record->kind : PUT;
  switch (move) {
  case BEGIN:
    return !thread->waits && thread->next < script->nops[thread - threads];
  case GO_ON:
    return thread->waits && !uj_link_empty(&thread->seat.news);
  default:
    return thread->waits && (kind == PUT_OR_LEAVE || kind == GET_OR_LEAVE);
  }
}

static void move_on(struct thread *thread, int move)
{
  nsteps++;
  if (move == BEGIN)
    begin(thread, script->ops[thread - threads][thread->next]);
  else if (move == GO_ON)
    go_on(thread);
  else
    leave(thread);
}

static void set_up(void)
{
  channel = new_channel(script->capacity);
  inbox = new_inbox();
  nrecords = nsteps = 0;
  memset(threads, 0, sizeof(threads));
  for (int i = 0; i < MOST_THREADS; i++)
    uj_seat_init(&threads[i].seat, UJ_SEAT_GETTER, inbox);
}

static void tear_down(void)
{
  for (int i = 0; i < script->nthreads; i++)
    if (threads[i].waits) {
      uj_channel_leave(channel, &threads[i].seat);
      uj_parcel_free(threads[i].seat.parcel);
      uj_inbox_forget(inbox, &threads[i].seat.news);
    }
  drop_channel(channel);
  uj_inbox_end(inbox);
}

/* Nobody can do anything any more: those who wait, wait for what is not there.
 */
static void check_end(void)
{
  bool getter = false, putter = false;
  struct queue empty = {.n = 0};
  for (int i = 0; i < script->nthreads; i++) {
    getter = getter || (threads[i].waits && is_get(threads[i].record->kind));
    putter = putter || (threads[i].waits && is_put(threads[i].record->kind));
  }
  CHECK(!(getter && uj_channel_count(channel) > 0));
  CHECK(!(getter && putter));
  CHECK(!(putter && uj_channel_count(channel) < script->capacity));
  CHECK(!((getter || putter) && uj_channel_closed(channel)));
  CHECK(uj_channel_count(channel) <= script->capacity);
  CHECK(has_order(empty, 0));
}

static void print_records(void)
{
  for (int i = 0; i < nrecords; i++)
    printf("    op %d kind %d number %d outcome %d steps %d..%d\n", i,
           (int)records[i].kind, records[i].number, (int)records[i].outcome,
           records[i].from, records[i].to);
}

/* Plays the first moves again; then the next of them that has not been played.
 * `moves` has at each step which of those that are possible it was. */
static bool play(int *moves, int *length)
{
  int at = 0;
  set_up();
  for (;; at++) {
    int seen = 0, chosen = at < *length ? moves[at] : 0;
    bool moved = false;
    for (int i = 0; i < script->nthreads * MOVES && !moved; i++) {
      struct thread *thread = &threads[i / MOVES];
      if (can(thread, i % MOVES) && seen++ == chosen) {
        move_on(thread, i % MOVES);
        moved = true;
      }
    }
    if (!moved)
      break;
    moves[at] = chosen;
    CHECK(uj_channel_is_sound(channel));
  }
  if (at < *length)
    return false; /* the last move is not possible: there are no more */
  *length = at;
  check_end();
  nplayed++;
  return true;
}

/* So many orders of a test are played under a tool that makes it slow. */
enum { FEW_ORDERS = 2000 };

/* Goes through all orders, like the digits of a number: the last move that can
 * be counted on is, and what follows begins anew. */
static void play_all(const struct script *what)
{
  int moves[MOST_STEPS] = {0}, length = 0;
  bool under_tool = range.count == 0;
  script = what;
  while (check_failures == 0 && !(under_tool && nplayed >= FEW_ORDERS)) {
    bool possible = play(moves, &length);
    if (check_failures > 0)
      print_records();
    tear_down();
    if (!possible)
      length--; /* and the one before is counted on */
    if (length == 0)
      return;
    moves[length - 1]++;
  }
}

/* ---- scripts ------------------------------------------------------------- */

static void play_list(const struct script *list, size_t n)
{
  for (size_t i = 0; i < n && check_failures == 0; i++)
    play_all(&list[i]);
  printf("  %" PRIu64 " orders\n", nplayed);
}

#define PLAY(list) play_list(list, sizeof(list) / sizeof((list)[0]))

static void is_linearisable(void)
{
  static const struct script list[] = {
      {1, 3, {2, 2, 1}, {{PUT, PUT}, {GET, GET}, {TRY_GET}}},
      {1, 4, {1, 1, 1, 1}, {{PUT}, {PUT}, {GET}, {GET}}},
      {2, 3, {3, 2, 2}, {{PUT, PUT, PUT}, {GET, TRY_GET}, {TRY_PUT, GET}}},
      {0, 4, {1, 1, 1, 1}, {{PUT}, {PUT}, {GET}, {GET}}},
      {0, 3, {2, 1, 2}, {{PUT, PUT}, {GET}, {TRY_GET, GET}}},
      {2, 2, {3, 3}, {{PUT, PUT, TRY_PUT}, {TRY_GET, GET, GET}}},
  };
  PLAY(list);
}

static void is_linearisable_when_some_leave(void)
{
  static const struct script list[] = {
      {1, 3, {2, 1, 1}, {{PUT, PUT}, {GET_OR_LEAVE}, {GET}}},
      {1, 4, {1, 1, 1, 1}, {{PUT}, {PUT_OR_LEAVE}, {GET_OR_LEAVE}, {GET}}},
      {1, 3, {1, 2, 2}, {{PUT}, {PUT_OR_LEAVE, TRY_PUT}, {TRY_GET, GET}}},
      {0, 4, {1, 1, 1, 1}, {{PUT}, {PUT_OR_LEAVE}, {GET_OR_LEAVE}, {GET}}},
      {0, 3, {2, 2, 1}, {{PUT_OR_LEAVE, PUT}, {GET_OR_LEAVE, GET}, {TRY_GET}}},
      {2,
       3,
       {3, 2, 1},
       {{PUT, PUT, PUT_OR_LEAVE}, {GET_OR_LEAVE, GET_OR_LEAVE}, {GET}}},
  };
  PLAY(list);
}

static void is_linearisable_when_closed(void)
{
  static const struct script list[] = {
      {1, 3, {2, 2, 1}, {{PUT, PUT}, {GET, GET}, {CLOSE}}},
      {1, 4, {1, 1, 1, 1}, {{PUT}, {GET_OR_LEAVE}, {GET}, {CLOSE}}},
      {1,
       4,
       {1, 1, 1, 2},
       {{PUT}, {PUT_OR_LEAVE}, {GET_OR_LEAVE}, {CLOSE, TRY_GET}}},
      {0, 4, {1, 1, 1, 1}, {{PUT_OR_LEAVE}, {GET_OR_LEAVE}, {GET}, {CLOSE}}},
      {2, 3, {3, 2, 2}, {{PUT, PUT, PUT}, {GET, GET}, {CLOSE, TRY_PUT}}},
  };
  PLAY(list);
}

/* Every way to fill four operations of three threads. */
static void is_linearisable_whatever_they_do(void)
{
  enum { KINDS = CLOSE + 1, WAYS = KINDS * KINDS * KINDS * KINDS };
  for (int way = 0; way < 3 * WAYS && check_failures == 0; way++) {
    int rest = way / 3;
    struct script made = {(uint64_t)way % 3, 3, {2, 1, 1}, {{PUT}}};
    made.ops[0][0] = (enum kind)(rest % KINDS);
    made.ops[0][1] = (enum kind)(rest / KINDS % KINDS);
    made.ops[1][0] = (enum kind)(rest / (KINDS * KINDS) % KINDS);
    made.ops[2][0] = (enum kind)(rest / (KINDS * KINDS * KINDS));
    play_all(&made);
  }
  printf("  %" PRIu64 " orders\n", nplayed);
}

static void is_linearisable_with_eight(void)
{
  static const struct script list[] = {
      {1,
       4,
       {3, 3, 1, 1},
       {{PUT, PUT, PUT}, {GET, GET, GET}, {PUT_OR_LEAVE}, {GET_OR_LEAVE}}},
      {2,
       4,
       {3, 3, 1, 1},
       {{PUT, PUT_OR_LEAVE, PUT}, {GET, GET, GET}, {TRY_GET}, {CLOSE}}},
      {0,
       4,
       {3, 3, 1, 1},
       {{PUT, PUT, PUT}, {GET, GET_OR_LEAVE, GET}, {PUT_OR_LEAVE}, {GET}}},
  };
  PLAY(list);
}

/* One order of a script, by chance. */
static void play_random(uint64_t seed, const struct script *what)
{
  struct queue empty = {.n = 0};
  script = what;
  set_up();
  for (;;) {
    int possible[MOST_THREADS * MOVES], n = 0, chosen;
    for (int i = 0; i < script->nthreads * MOVES; i++)
      if (can(&threads[i / MOVES], i % MOVES))
        possible[n++] = i;
    if (n == 0)
      break;
    chosen = possible[check_below(&seed, (uint64_t)n)];
    move_on(&threads[chosen / MOVES], chosen % MOVES);
    CHECK(uj_channel_is_sound(channel));
  }
  check_end();
  CHECK(has_order(empty, 0));
  if (check_failures > 0)
    print_records();
  tear_down();
}

static void make_random(uint64_t *seed, struct script *made)
{
  int left = MOST_ALL;
  made->capacity = check_below(seed, 3);
  made->nthreads = MOST_THREADS;
  for (int i = 0; i < MOST_THREADS; i++) {
    made->nops[i] = (int)check_below(seed, MOST_OPS) + 1;
    if (made->nops[i] > left)
      made->nops[i] = left;
    left -= made->nops[i];
    for (int j = 0; j < made->nops[i]; j++) {
      uint64_t kind = check_below(seed, 4 * CLOSE + 1);
      made->ops[i][j] = (enum kind)(kind == 4 * CLOSE ? CLOSE : kind % CLOSE);
    }
  }
}

static void round_of(uint64_t seed)
{
  struct script made;
  uint64_t random = seed;
  make_random(&random, &made);
  for (int i = 0; i < 20 && check_failures == 0; i++)
    play_random(random + (uint64_t)i, &made);
}

static void is_linearisable_at_random(void)
{
  check_rounds(range, round_of);
}

int main(int argc, char **argv)
{
  static const struct check_test tests[] = {
      {"all orders of putting and getting could be one after the other",
       is_linearisable},
      {"also when some leave: what they left has not happened",
       is_linearisable_when_some_leave},
      {"also when the channel is closed", is_linearisable_when_closed},
      {"also for all ways to choose four operations of three threads",
       is_linearisable_whatever_they_do},
      {"also for eight operations of four threads", is_linearisable_with_eight},
      {"random orders of up to eight random operations, too",
       is_linearisable_at_random},
  };
  range = check_arguments(argc, argv, 5000);
  return CHECK_RUN(tests);
}
