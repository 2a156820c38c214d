/* repeat/agenda.h: a heap by dates, compared with a list. */
#include "check.h"

#include "random/random.h"
#include "repeat/agenda.h"

enum { ENTRIES = 64 };

static struct uj_agenda agenda;
static struct uj_entry entries[ENTRIES];
static struct uj_random chance;

static void begin(void)
{
  uj_agenda_init(&agenda);
  for (int i = 0; i < ENTRIES; i++)
    uj_entry_init(&agenda, &entries[i]);
}

static void gives_the_earliest_first(void)
{
  const double dates[] = {5, 1, 4, 1, 3};
  const int order[] = {1, 3, 4, 2, 0};
  begin();
  for (int i = 0; i < 5; i++)
    uj_agenda_add(&agenda, &entries[i], dates[i]);
  for (int i = 0; i < 5; i++) {
    CHECK(agenda.first == &entries[order[i]]);
    uj_agenda_remove(&agenda, agenda.first);
  }
  CHECK(agenda.first == NULL);
}

static void removes_twice_without_harm(void)
{
  begin();
  uj_agenda_add(&agenda, &entries[0], 1);
  uj_agenda_remove(&agenda, &entries[1]);
  uj_agenda_remove(&agenda, &entries[0]);
  uj_agenda_remove(&agenda, &entries[0]);
  CHECK(agenda.first == NULL);
  CHECK_EQ(uj_agenda_check(&agenda), 0);
}

/* The one that should be first: of equal dates the one that was made first. */
static struct uj_entry *find_first(void)
{
  struct uj_entry *first = NULL;
  for (int i = 0; i < ENTRIES; i++)
    if (entries[i].is_in && (first == NULL || entries[i].at_s < first->at_s))
      first = &entries[i];
  return first;
}

static uint64_t count(void)
{
  uint64_t n = 0;
  for (int i = 0; i < ENTRIES; i++)
    n += entries[i].is_in;
  return n;
}

static void agrees_with_a_list(void)
{
  begin();
  for (uint64_t seed = 1; seed <= 20; seed++) {
    check_seed(seed);
    uj_random_init(&chance, seed);
    for (int step = 0; step < 2000; step++) {
      struct uj_entry *entry = &entries[uj_random_next(&chance) % ENTRIES];
      if (!entry->is_in)
        uj_agenda_add(&agenda, entry, (double)(uj_random_next(&chance) % 20));
      else
        uj_agenda_remove(&agenda,
                         uj_random_next(&chance) % 2 ? entry : agenda.first);
      CHECK(agenda.first == find_first());
      CHECK_EQ(uj_agenda_check(&agenda), count());
    }
  }
}

int main(void)
{
  static const struct check_test tests[] = {
      {"the earliest entry comes first, and of equals the one made first",
       gives_the_earliest_first},
      {"an entry that is not in can be removed", removes_twice_without_harm},
      {"any order of adding and removing keeps the order", agrees_with_a_list},
  };
  return CHECK_RUN(tests);
}
