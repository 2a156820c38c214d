/* calendar/fire.h against a walk over every minute. */
#include "check.h"

#include "calendar/civil.h"
#include "calendar/fire.h"
#include "calendar/pattern.h"
#include "tzif.h"

enum { ROUNDS = 400, DAYS = 12, MAX_FIRES = DAYS * 24 * 60 + 1 };

#define BASE_S (INT64_C(20000) * 86400) /* 2024-10-04 */
#define END_S (BASE_S + DAYS * UJ_DAY_S)

static uint64_t rng, rounds = ROUNDS, first_seed = 1;

static int64_t below(int64_t bound)
{
  return (int64_t)(check_random(&rng) % (uint64_t)bound);
}

/* ---- the walk
 * ---------------------------------------------------------------- */

/* Whether a day is the weekday closest to day `near`, by the definition. */
static bool is_nearest(int64_t days, struct uj_date date, unsigned near)
{
  int64_t best = -1;
  if (near > uj_month_length(date.year, date.month))
    return false;
  for (int day = 1; day <= uj_month_length(date.year, date.month); day++) {
    struct uj_date other = {date.year, date.month, (uint8_t)day};
    int64_t distance = day > (int)near ? day - (int)near : (int)near - day;
    int64_t of_best = best > near ? best - near : (int64_t)near - best;
    unsigned weekday = uj_weekday_of_days(uj_days_of_date(other));
    if (weekday != 0 && weekday != 6 && (best < 0 || distance < of_best))
      best = day;
  }
  return best == date.day && days == uj_days_of_date(date);
}

static bool matches_date(const struct uj_cron *cron, int64_t days)
{
  struct uj_date date = uj_date_of_days(days);
  unsigned length = uj_month_length(date.year, date.month);
  if (cron->days >> date.day & 1)
    return true;
  if (cron->last_day && date.day == length)
    return true;
  for (unsigned near = 1; near <= 31; near++) {
    if ((cron->near_days >> near & 1) && is_nearest(days, date, near))
      return true;
  }
  return false;
}

static bool matches_weekday(const struct uj_cron *cron, int64_t days)
{
  struct uj_date date = uj_date_of_days(days);
  unsigned weekday = uj_weekday_of_days(days);
  unsigned nth = cron->nth_weekday[weekday];
  unsigned length = uj_month_length(date.year, date.month);
  return (cron->weekdays >> weekday & 1) ||
         (nth >> ((date.day - 1) / 7 + 1) & 1) ||
         ((nth & 1) && date.day + 7U > length);
}

static bool matches(const struct uj_cron *cron, int64_t local_s)
{
  int64_t days = uj_floor_div(local_s, UJ_DAY_S);
  int64_t second = local_s - days * UJ_DAY_S;
  struct uj_date date = uj_date_of_days(days);
  bool by_date = cron->any_day || matches_date(cron, days);
  bool by_weekday = cron->any_weekday || matches_weekday(cron, days);
  bool day = cron->any_day || cron->any_weekday || cron->both
                 ? by_date && by_weekday
                 : by_date || by_weekday;
  return day && (cron->months >> date.month & 1) &&
         (cron->hours >> (second / 3600) & 1) &&
         (cron->minutes >> (second / 60 % 60) & 1);
}

static int32_t offset_at(const struct tzif_zone *zone, int64_t instant_s)
{
  unsigned i = 0;
  while (i < zone->count && zone->at_s[i] <= instant_s)
    i++;
  return zone->offset_s[i];
}

/* The instants of a fire, for every minute of the span; sorted, each once. */
struct walk {
  unsigned count;
  int64_t fires[MAX_FIRES];
};

static void add(struct walk *walk, int64_t instant_s)
{
  unsigned i = walk->count;
  if (instant_s < BASE_S || instant_s >= END_S)
    return;
  while (i > 0 && walk->fires[i - 1] > instant_s)
    i--;
  if (i > 0 && walk->fires[i - 1] == instant_s)
    return;
  memmove(walk->fires + i + 1, walk->fires + i,
          (walk->count - i) * sizeof(*walk->fires));
  walk->fires[i] = instant_s;
  walk->count++;
}

static void add_fixed(struct walk *walk, const struct uj_fire *fire,
                      const struct tzif_zone *zone, int64_t local_s)
{
  int64_t found[TZIF_TRANSITIONS];
  unsigned count = 0;
  for (unsigned i = 0; i <= zone->count; i++) {
    int64_t instant_s = local_s - zone->offset_s[i];
    if ((i == 0 || instant_s >= zone->at_s[i - 1]) &&
        (i == zone->count || instant_s < zone->at_s[i]))
      found[count++] = instant_s;
  }
  for (unsigned i = 0; count == 0 && i < zone->count; i++) {
    if (zone->at_s[i] + zone->offset_s[i] <= local_s &&
        local_s < zone->at_s[i] + zone->offset_s[i + 1] &&
        fire->gap == UJ_GAP_RUN) {
      add(walk, zone->at_s[i]);
      return;
    }
  }
  if (count > 0 && fire->fold != UJ_FOLD_SECOND)
    add(walk, found[0]);
  if (count > 0 && fire->fold != UJ_FOLD_FIRST)
    add(walk, found[count - 1]);
}

static void walk_all(struct walk *walk, const struct uj_fire *fire,
                     const struct tzif_zone *zone)
{
  walk->count = 0;
  if (fire->cron->is_interval) {
    for (int64_t t = BASE_S; t < END_S; t += 60) {
      if (matches(fire->cron, t + offset_at(zone, t)))
        add(walk, t);
    }
    return;
  }
  for (int64_t l = BASE_S - 2 * UJ_DAY_S; l < END_S + 2 * UJ_DAY_S; l += 60) {
    if (matches(fire->cron, l))
      add_fixed(walk, fire, zone, l);
  }
}

/* ---- what is random
 * ------------------------------------------------------------ */

/* Two to five days between changes of whole half hours, of up to 3 hours. */
static void make_zone(struct tzif_zone *zone)
{
  int64_t at_s = BASE_S - 6 * UJ_DAY_S;
  zone->footer = "";
  zone->count = 0;
  zone->offset_s[0] = (int32_t)(below(49) - 24) * 1800;
  while (at_s < END_S + 4 * UJ_DAY_S) {
    int32_t offset_s = zone->offset_s[zone->count];
    int32_t change_s = (int32_t)(below(13) - 6) * 1800;
    if (offset_s + change_s > 24 * 3600 || offset_s + change_s < -24 * 3600)
      change_s = -change_s;
    at_s += 2 * UJ_DAY_S + below(3 * 48) * 1800;
    zone->at_s[zone->count++] = at_s;
    zone->offset_s[zone->count] = offset_s + change_s;
  }
}

static void pick(char *to, size_t size, const char *const *choices,
                 unsigned count)
{
  size_t length = strlen(to);
  const char *choice = choices[below(count)];
  if (strchr(choice, '%') == NULL)
    snprintf(to + length, size - length, "%s ", choice);
  else
    snprintf(to + length, size - length, "%d ", (int)below(atoi(choice + 1)));
}

static void make_pattern(char *pattern, size_t size)
{
  static const char *const minutes[] = {"*",   "*/15", "%60",
                                        "%60", "0,30", "5-20/5"};
  static const char *const hours[] = {"*",   "%24", "%24",  "1,2,3",
                                      "2-4", "*/6", "0,23", "0"};
  static const char *const days[] = {"*",  "*",   "*",     "L", "15W",
                                     "1W", "6,9", "*/2",   "?", "31W",
                                     "5W", "1,L", "1-12/3"};
  static const char *const weekdays[] = {"*",   "*",     "*",     "MON-FRI",
                                         "6,0", "FRI#1", "SUN#L", "+TUE",
                                         "?",   "2L",    "+1-5",  "5-7"};
  pattern[0] = '\0';
  pick(pattern, size, minutes, 6);
  pick(pattern, size, hours, 8);
  pick(pattern, size, days, 13);
  strcat(pattern, "* ");
  pick(pattern, size, weekdays, 12);
}

static void check_walk(const struct uj_fire *fire, const struct walk *walk,
                       const char *pattern)
{
  int64_t at_s = BASE_S - 1;
  unsigned before = check_failures;
  for (unsigned i = 0; i < walk->count; i++) {
    at_s = uj_fire_next(fire, at_s);
    CHECK_EQ(at_s, walk->fires[i]);
    CHECK_EQ(uj_fire_next(fire, at_s - 1), at_s);
    if (check_failures != before)
      break;
  }
  CHECK(uj_fire_next(fire, at_s) >= END_S);
  at_s = END_S;
  for (unsigned i = walk->count; i > 0; i--) {
    at_s = uj_fire_previous(fire, at_s);
    CHECK_EQ(at_s, walk->fires[i - 1]);
    CHECK_EQ(uj_fire_previous(fire, at_s + 1), at_s);
    if (check_failures != before)
      break;
  }
  CHECK(uj_fire_previous(fire, at_s) < BASE_S);
  for (unsigned i = 0; i < 50; i++) { /* from anywhere, not from a fire */
    int64_t from_s = BASE_S + below(DAYS * UJ_DAY_S);
    unsigned n = 0;
    while (n < walk->count && walk->fires[n] <= from_s)
      n++;
    if (n < walk->count)
      CHECK_EQ(uj_fire_next(fire, from_s), walk->fires[n]);
    while (n > 0 && walk->fires[n - 1] >= from_s)
      n--;
    if (n > 0)
      CHECK_EQ(uj_fire_previous(fire, from_s), walk->fires[n - 1]);
  }
  if (check_failures != before)
    printf("  the pattern is %s, gap %d, fold %d\n", pattern, (int)fire->gap,
           (int)fire->fold);
}

static void equals_a_walk(void)
{
  static struct walk walk;
  for (uint64_t seed = first_seed; seed < first_seed + rounds; seed++) {
    struct tzif_zone made;
    struct uj_cron cron;
    struct uj_fire fire;
    struct uj_zone *zone;
    char pattern[128], message[UJ_CRON_MESSAGE_SIZE];
    rng = seed;
    check_seed(seed);
    make_zone(&made);
    make_pattern(pattern, sizeof(pattern));
    CHECK(uj_cron_parse(&cron, pattern, strlen(pattern), message));
    fire.cron = &cron;
    zone = tzif_zone_new(&made);
    fire.zone = zone;
    fire.gap = (enum uj_gap)below(2);
    fire.fold = (enum uj_fold)below(3);
    walk_all(&walk, &fire, &made);
    check_walk(&fire, &walk, pattern);
    uj_zone_free(zone);
    if (check_failures > 0)
      return;
  }
}

int main(int argc, char **argv)
{
  static const struct check_test tests[] = {
      {"next and previous are those of a walk over every minute #R1 #R2 #R3 "
       "#R4",
       equals_a_walk},
  };
  if (argc > 1) /* rounds, and the first seed */
    rounds = strtoull(argv[1], NULL, 10);
  if (argc > 2)
    first_seed = strtoull(argv[2], NULL, 10);
  return CHECK_RUN(tests);
}
