/* measure/tape.h: no event is missing, whatever the thread that writes them is
 * doing, and the child of a fork waits for nobody. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "measure/tape.h"

static char path[] = "/tmp/test_tape.XXXXXX";

static void add_slices(struct uj_tape *tape, uint64_t first, uint64_t count)
{
  for (uint64_t i = first; i < first + count; i++)
    uj_tape_add(tape, (struct uj_tape_event){.kind = UJ_TAPE_SLICE,
                                             .id = i,
                                             .other = i * 1000,
                                             .at_ns = i * 1000 + 500});
}

/* The slices in the file, which must be those of the jobs 0, 1, 2 and so on. */
static uint64_t count_slices(void)
{
  static char line[512];
  FILE *file = fopen(path, "r");
  uint64_t count = 0;
  CHECK(file != NULL);
  while (fgets(line, sizeof(line), file) != NULL) {
    const char *job = strstr(line, "\"job\":");
    if (job != NULL)
      CHECK_EQ(strtoull(job + 6, NULL, 10), count++);
  }
  CHECK(strcmp(line, "]\n") == 0);
  (void)fclose(file);
  return count;
}

static void an_event_has_40_bytes(void)
{
  CHECK_EQ(sizeof(struct uj_tape_event), 40);
}

static void all_events_are_written_in_their_order(void)
{
  struct uj_tape *tape = uj_tape_open(path, UINT64_MAX, 0);
  CHECK(tape != NULL);
  add_slices(tape, 0, 200000); /* many times what the ring has room for */
  uj_tape_sync(tape);
  CHECK_EQ(count_slices(), 200000);
  CHECK_EQ(tape->chrome.events, 200000);
  add_slices(tape, 200000, 7);
  uj_tape_close(tape);
  CHECK_EQ(count_slices(), 200007);
  uj_tape_free(tape);
}

static void they_are_written_without_being_asked_for(void)
{
  static const struct timespec moment = {0, 1000000};
  struct uj_tape *tape = uj_tape_open(path, UINT64_MAX, 0);
  CHECK(tape != NULL);
  add_slices(tape, 0, 3);
  while (count_slices() < 3)
    (void)nanosleep(&moment, NULL);
  uj_tape_close(tape);
  uj_tape_free(tape);
}

static void it_is_over_at_its_limit(void)
{
  struct uj_tape *tape = uj_tape_open(path, 10000, 0);
  CHECK(tape != NULL);
  add_slices(tape, 0, 100000);
  uj_tape_sync(tape);
  CHECK(uj_tape_is_over(tape));
  uj_tape_close(tape);
  CHECK(tape->chrome.full);
  CHECK(uj_chrome_size(&tape->chrome) <= 10000);
  CHECK(count_slices() > 50);
  uj_tape_free(tape);
}

static void the_child_of_a_fork_leaves_it_to_its_parent(void)
{
  struct uj_tape *tape = uj_tape_open(path, UINT64_MAX, 0);
  int status = -1;
  pid_t child;
  CHECK(tape != NULL);
  add_slices(tape, 0, 10);
  child = fork();
  if (child == 0) {
    add_slices(tape, 1000, 100000);
    uj_tape_sync(tape);
    CHECK(uj_tape_is_over(tape));
    uj_tape_close(tape);
    uj_tape_free(tape);
    _exit(0);
  }
  CHECK_EQ(waitpid(child, &status, 0), child);
  CHECK_EQ(status, 0);
  add_slices(tape, 10, 10);
  uj_tape_close(tape);
  CHECK_EQ(count_slices(), 20);
  uj_tape_free(tape);
}

static void a_file_that_cannot_be_opened_is_told(void)
{
  CHECK(uj_tape_open("/no/such/file", 1024, 0) == NULL);
}

int main(void)
{
  static const struct check_test tests[] = {
      {"an event has 40 bytes", an_event_has_40_bytes},
      {"all events are written in their order",
       all_events_are_written_in_their_order},
      {"they are written without being asked for",
       they_are_written_without_being_asked_for},
      {"it is over at its limit", it_is_over_at_its_limit},
      {"the child of a fork leaves it to its parent",
       the_child_of_a_fork_leaves_it_to_its_parent},
      {"a file that cannot be opened is told",
       a_file_that_cannot_be_opened_is_told},
  };
  int fd = mkstemp(path), status;
  CHECK(fd >= 0);
  (void)close(fd);
  status = CHECK_RUN(tests);
  (void)remove(path);
  return status;
}
