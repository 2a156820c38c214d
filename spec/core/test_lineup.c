/* core/lineup.h, against a plain list in the order of coming, of which each
 * step looks at everything. */
#include "check.h"

#include "core/lineup.h"

enum { WAITERS = 120, LANES = 6, STEPS = 3000, NOBODY = -1 };

static struct uj_lineup line;
static struct uj_agings ages;
static struct uj_lane lanes[LANES];
static struct uj_waiter waiters[WAITERS];

/* The model: the waiters, what is known of each, and when each lane was served
 * on each level, or came to it. */
static struct {
  int order[WAITERS];
  int count;
  int lane[WAITERS];
  unsigned level[WAITERS];
  uint64_t since_ns[WAITERS];
  uint64_t turns[LANES][UJ_LEVELS];
  uint64_t last_turn;
  bool is_shut[LANES];
  bool is_fair;
  uint64_t aging_ns, now_ns;
} m;

/* ---- the model ----------------------------------------------------------- */

static bool has_any(int lane, unsigned level)
{
  for (int i = 0; i < m.count; i++)
    if (m.lane[m.order[i]] == lane && m.level[m.order[i]] == level)
      return true;
  return false;
}

static void model_enter(int w, unsigned level)
{
  if (!has_any(m.lane[w], level))
    m.turns[m.lane[w]][level] = ++m.last_turn;
  m.level[w] = level;
}

static uint64_t ages_at(int w)
{
  uint64_t levels = waiters[w].priority - m.level[w] + 1;
  if (m.aging_ns == 0 || m.level[w] == 0)
    return UINT64_MAX;
  return m.since_ns[w] + levels * m.aging_ns;
}

/* One after the other, in the order in which it is due. */
static void model_age(void)
{
  for (;;) {
    int next = NOBODY;
    for (int i = 0; i < m.count; i++)
      if (next == NOBODY || ages_at(m.order[i]) < ages_at(next))
        next = m.order[i];
    if (next == NOBODY || ages_at(next) > m.now_ns)
      return;
    model_enter(next, m.level[next] - 1);
  }
}

static bool comes_before(int a, int b)
{
  if (m.level[a] != m.level[b])
    return m.level[a] < m.level[b];
  return m.is_fair &&
         m.turns[m.lane[a]][m.level[a]] < m.turns[m.lane[b]][m.level[b]];
}

static int model_first(bool only_open)
{
  int first = NOBODY;
  for (int i = 0; i < m.count; i++) {
    int w = m.order[i];
    if (only_open && m.is_shut[m.lane[w]])
      continue;
    if (first == NOBODY || comes_before(w, first))
      first = w;
  }
  return first;
}

static void model_remove(int w)
{
  int at = 0;
  while (m.order[at] != w)
    at++;
  memmove(&m.order[at], &m.order[at + 1],
          (size_t)(m.count - at - 1) * sizeof m.order[0]);
  m.count--;
}

/* ---- playing ------------------------------------------------------------- */

static int index_of(const struct uj_waiter *waiter)
{
  return waiter == NULL ? NOBODY : (int)(waiter - waiters);
}

static void op_put(uint64_t *seed)
{
  int w = (int)(check_random(seed) % WAITERS);
  if (waiters[w].lane != NULL)
    return;
  model_age();
  uj_waiter_init(&waiters[w], (unsigned)(check_random(seed) % UJ_LEVELS));
  m.lane[w] = (int)(check_random(seed) % LANES);
  m.since_ns[w] = m.now_ns;
  model_enter(w, waiters[w].priority);
  m.order[m.count++] = w;
  uj_lineup_put(&line, &lanes[m.lane[w]], &waiters[w], m.now_ns);
}

static void op_remove(uint64_t *seed)
{
  int w = (int)(check_random(seed) % WAITERS);
  if (waiters[w].lane == NULL)
    return;
  model_age();
  model_remove(w);
  uj_lineup_remove(&line, &waiters[w], m.now_ns);
  CHECK(waiters[w].lane == NULL);
  uj_lineup_remove(&line, &waiters[w], m.now_ns);
}

static void op_serve(bool only_open)
{
  struct uj_waiter *first;
  int w;
  model_age();
  uj_lineup_age(&line, m.now_ns);
  first = only_open ? uj_lineup_first_open(&line) : uj_lineup_first(&line);
  w = model_first(only_open);
  CHECK_EQ(index_of(first), w);
  if (w == NOBODY || first == NULL)
    return;
  CHECK_EQ(first->level, m.level[w]);
  model_remove(w);
  m.turns[m.lane[w]][m.level[w]] = ++m.last_turn;
  uj_lineup_serve(&line, first);
}

static void op_shut(uint64_t *seed)
{
  int lane = (int)(check_random(seed) % LANES);
  m.is_shut[lane] = !m.is_shut[lane];
  uj_lineup_shut(&line, &lanes[lane], m.is_shut[lane]);
}

static void step(uint64_t *seed)
{
  switch (check_random(seed) % 16) {
  case 0:
  case 1:
  case 2:
  case 3:
  case 4:
  case 5:
    op_put(seed);
    break;
  case 6:
  case 7:
    op_remove(seed);
    break;
  case 8:
    op_shut(seed);
    break;
  case 9:
    m.now_ns += check_random(seed) % 40;
    break;
  case 10:
    op_serve(false);
    break;
  default:
    op_serve(true);
  }
  uj_lineup_check(&line);
  CHECK_EQ(line.count, m.count);
}

static void play(uint64_t seed)
{
  memset(&m, 0, sizeof m);
  m.is_fair = check_random(&seed) % 2;
  m.aging_ns = check_random(&seed) % 2 ? 1 + check_random(&seed) % 30 : 0;
  uj_lineup_init(&line, m.aging_ns != 0 ? &ages : NULL,
                 m.aging_ns != 0 ? m.aging_ns : UJ_LEVELS, m.is_fair);
  for (int i = 0; i < LANES; i++)
    uj_lane_init(&lanes[i]);
  for (int i = 0; i < WAITERS; i++)
    uj_waiter_init(&waiters[i], 0);
  for (int i = 0; i < STEPS && check_failures == 0; i++)
    step(&seed);
}

static struct check_range rounds = {100, 1};

static void who_comes_first(void)
{
  check_rounds(rounds, play);
}

/* ---- promises ------------------------------------------------------------ */

static struct uj_waiter *put(int w, int lane, unsigned priority, uint64_t now)
{
  uj_waiter_init(&waiters[w], priority);
  uj_lineup_put(&line, &lanes[lane], &waiters[w], now);
  return &waiters[w];
}

static void begin(bool is_fair, uint64_t aging_ns)
{
  uj_lineup_init(&line, aging_ns != 0 ? &ages : NULL, aging_ns, is_fair);
  for (int i = 0; i < LANES; i++)
    uj_lane_init(&lanes[i]);
}

static int serve(uint64_t now_ns)
{
  struct uj_waiter *first;
  uj_lineup_age(&line, now_ns);
  first = uj_lineup_first_open(&line);
  uj_lineup_serve(&line, first);
  return index_of(first);
}

/* The adversary always has a more urgent one. */
static void nobody_starves(void)
{
  const uint64_t aging_ns = 100;
  begin(false, aging_ns);
  put(0, 0, 9, 0);
  for (uint64_t now_ns = 0;; now_ns++) {
    int w;
    put(1, 1, 0, now_ns);
    w = serve(now_ns);
    if (w == 0) {
      CHECK_EQ(now_ns, 9 * aging_ns);
      break;
    }
    CHECK_EQ(w, 1);
  }
}

/* One lane has all the others' work before theirs, and more besides. */
static void a_lane_waits_for_one_of_each_other(void)
{
  begin(true, 0);
  for (int w = 0; w < 60; w++)
    put(w, 0, 5, 0);
  for (int lane = 1; lane < LANES; lane++)
    put(60 + lane, lane, 5, 0);
  CHECK_EQ(serve(0), 0);
  for (int lane = 1; lane < LANES; lane++)
    CHECK_EQ(serve(0), 60 + lane);
  CHECK_EQ(serve(0), 1);
}

/* A lane that is served on a more urgent level meanwhile does not lose its
 * turn on the other. */
static void each_level_has_turns_of_its_own(void)
{
  begin(true, 0);
  for (int i = 0; i < 3; i++) {
    put(10 + i, 1, 5, 0);
    put(20 + i, 2, 5, 0);
    put(30 + i, 3, 5, 0);
  }
  CHECK_EQ(serve(0), 10);
  put(40, 3, 2, 0);
  CHECK_EQ(serve(0), 40);
  CHECK_EQ(serve(0), 20);
  put(40, 3, 2, 0);
  CHECK_EQ(serve(0), 40);
  CHECK_EQ(serve(0), 30);
  CHECK_EQ(serve(0), 11);
}

static void a_shut_lane_keeps_its_turn(void)
{
  begin(true, 0);
  put(1, 1, 5, 0);
  put(2, 2, 5, 0);
  put(3, 2, 5, 0);
  uj_lineup_shut(&line, &lanes[1], true);
  CHECK_EQ(serve(0), 2);
  uj_lineup_shut(&line, &lanes[1], false);
  CHECK_EQ(serve(0), 1);
  CHECK_EQ(serve(0), 3);
}

static void great_times_do_not_overflow(void)
{
  begin(false, UINT64_MAX / 2);
  put(1, 1, 9, UINT64_MAX - 10);
  put(2, 1, 8, UINT64_MAX - 9);
  CHECK_EQ(serve(UINT64_MAX - 1), 2);
  CHECK_EQ(serve(UINT64_MAX - 1), 1);
}

int main(int argc, char **argv)
{
  static const struct check_test tests[] = {
      {"who comes first is who comes first in a plain list, #P14 #P15 #P16",
       who_comes_first},
      {"the least urgent is overtaken for nine times the aging, #P15",
       nobody_starves},
      {"a lane waits for one of each other lane, #P16",
       a_lane_waits_for_one_of_each_other},
      {"each level has turns of its own, #P16",
       each_level_has_turns_of_its_own},
      {"a lane that is shut keeps its turn, #P16", a_shut_lane_keeps_its_turn},
      {"great times do not overflow", great_times_do_not_overflow},
  };
  rounds = check_arguments(argc, argv, rounds.count);
  return CHECK_RUN(tests);
}
