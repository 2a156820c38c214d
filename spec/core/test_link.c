/* core/link.h: the lists that everything else is linked in. */
#include "check.h"

#include "core/link.h"

struct item {
  int number;
  struct uj_link link;
};

/* Checks the numbers of a list, in both directions. */
static void check_list(struct uj_link *list, const char *expected)
{
  char forth[64] = "", back[64] = "";
  struct uj_link *link;
  for (link = list->next; link != list; link = link->next) {
    size_t len = strlen(forth);
    snprintf(forth + len, sizeof forth - len, "%d",
             uj_container(link, struct item, link)->number);
  }
  for (link = list->prev; link != list; link = link->prev) {
    memmove(back + 1, back, sizeof back - 1);
    back[0] = (char)('0' + uj_container(link, struct item, link)->number);
    back[sizeof back - 1] = '\0';
  }
  CHECK_STR(forth, expected);
  CHECK_STR(back, expected);
}

static void fill(struct uj_link *list, struct item *items, int from, int to)
{
  uj_link_init(list);
  for (int i = from; i <= to; i++) {
    items[i].number = i;
    uj_link_init(&items[i].link);
    uj_link_append(list, &items[i].link);
  }
}

static void appends_in_order(void)
{
  struct uj_link list;
  struct item items[4];
  fill(&list, items, 1, 0);
  CHECK(uj_link_empty(&list));
  fill(&list, items, 1, 3);
  CHECK(!uj_link_empty(&list));
  CHECK(!uj_link_empty(&items[1].link));
  check_list(&list, "123");
}

static void removes_anywhere_and_twice(void)
{
  struct uj_link list;
  struct item items[5];
  fill(&list, items, 1, 4);
  uj_link_remove(&items[2].link);
  check_list(&list, "134");
  uj_link_remove(&items[2].link);
  CHECK(uj_link_empty(&items[2].link));
  uj_link_remove(&items[1].link);
  uj_link_remove(&items[4].link);
  check_list(&list, "3");
  uj_link_remove(&items[3].link);
  CHECK(uj_link_empty(&list));
}

static void takes_a_removed_link_again(void)
{
  struct uj_link list;
  struct item items[4];
  fill(&list, items, 1, 3);
  uj_link_remove(&items[1].link);
  uj_link_append(&list, &items[1].link);
  check_list(&list, "231");
}

static void splices_in_order(void)
{
  struct uj_link to, from;
  struct item items[7];
  fill(&to, items, 1, 2);
  fill(&from, items, 3, 5);
  uj_link_splice(&to, &from);
  check_list(&to, "12345");
  CHECK(uj_link_empty(&from));
  uj_link_splice(&to, &from);
  check_list(&to, "12345");
  uj_link_splice(&from, &to);
  check_list(&from, "12345");
  CHECK(uj_link_empty(&to));
  uj_link_remove(&items[3].link);
  check_list(&from, "1245");
}

int main(void)
{
  static const struct check_test tests[] = {
      {"appends in order", appends_in_order},
      {"removes a link anywhere, and twice", removes_anywhere_and_twice},
      {"takes a removed link again", takes_a_removed_link_again},
      {"splices a list to the end of another", splices_in_order},
  };
  return CHECK_RUN(tests);
}
