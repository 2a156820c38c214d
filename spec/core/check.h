/* A test runner in one header. Include it first.
 *
 * Every test runs in a process of its own: an assertion of the core that does
 * not hold, a report of a sanitizer, a leak or a hang fails that test and no
 * other. Failed checks are printed, and the test goes on. */
#ifndef SPEC_CORE_CHECK_H
#define SPEC_CORE_CHECK_H

#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif

#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

/* Only there for a test that hangs: a slow machine under valgrind needs some
 * hundred seconds for the longest. */
#define CHECK_TIME_LIMIT_S 900

struct check_test {
  const char *title; /* a sentence about behaviour */
  void (*run)(void);
};

static unsigned check_failures; /* of the test that runs in this process */
static FILE *check_note;        /* written by the test for its parent process */

#define CHECK(cond) check_that((cond), #cond, __FILE__, __LINE__)
#define CHECK_EQ(got, expected) \
  check_equal((uint64_t)(got), (uint64_t)(expected), #got, __FILE__, __LINE__)
#define CHECK_STR(got, expected) \
  check_string((got), (expected), __FILE__, __LINE__)
#define CHECK_RUN(tests) check_run((tests), sizeof(tests) / sizeof((tests)[0]))

static inline void check_that(bool holds, const char *text, const char *file,
                              int line)
{
  if (holds)
    return;
  check_failures++;
  printf("  %s:%d: not so: %s\n", file, line, text);
}

static inline void check_equal(uint64_t got, uint64_t expected,
                               const char *text, const char *file, int line)
{
  if (got == expected)
    return;
  check_failures++;
  printf("  %s:%d: %s is %" PRIu64 ", not %" PRIu64 "\n", file, line, text, got,
         expected);
}

static inline void check_string(const char *got, const char *expected,
                                const char *file, int line)
{
  if (strcmp(got, expected) == 0)
    return;
  check_failures++;
  printf("  %s:%d: expected: %s\n  %s:%d:      got: %s\n", file, line, expected,
         file, line, got);
}

static inline pid_t check_fork(void)
{
  pid_t pid;
  fflush(NULL);
  pid = fork();
  if (pid < 0) {
    perror("fork");
    exit(1);
  }
  return pid;
}

static inline int check_join(pid_t pid)
{
  int status = 0;
  if (waitpid(pid, &status, 0) != pid) {
    perror("waitpid");
    exit(1);
  }
  return status;
}

/* Whether fn(arg) fails an assertion. Only for builds that have assertions. */
static inline bool check_aborts(void (*fn)(void *), void *arg)
{
  int status;
  pid_t pid = check_fork();
  if (pid == 0) {
    close(STDERR_FILENO);
    fn(arg);
    _exit(0);
  }
  status = check_join(pid);
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

/* Notes the seed of a random test, to be printed if it fails or crashes. */
static inline void check_seed(uint64_t seed)
{
  if (pwrite(fileno(check_note), &seed, sizeof seed, 0) != sizeof seed)
    abort();
}

static inline void check_print_seed(void)
{
  uint64_t seed;
  if (pread(fileno(check_note), &seed, sizeof seed, 0) == sizeof seed)
    printf("  failed with seed %" PRIu64 "; again: this program, arguments "
           "1 %" PRIu64 "\n",
           seed, seed);
}

static inline bool check_one(const struct check_test *test)
{
  int status;
  pid_t pid = check_fork();
  if (pid == 0) {
    alarm(CHECK_TIME_LIMIT_S);
    test->run();
    exit(check_failures != 0);
  }
  status = check_join(pid);
  if (status != 0)
    check_print_seed();
  if (WIFSIGNALED(status))
    printf("FAILED  %s (signal %d)\n", test->title, WTERMSIG(status));
  else if (WEXITSTATUS(status) != 0)
    printf("FAILED  %s\n", test->title);
  else
    printf("ok      %s\n", test->title);
  return status == 0;
}

/* Runs the tests; returns the exit status of the program. */
static inline int check_run(const struct check_test *tests, size_t count)
{
  size_t passed = 0;
  check_note = tmpfile();
  if (check_note == NULL)
    abort();
  for (size_t i = 0; i < count; i++)
    passed += check_one(&tests[i]);
  printf("%zu passed, %zu failed\n", passed, count - passed);
  fclose(check_note);
  return passed != count;
}

/* The arguments of a random test: how many seeds, and the first of them. */
struct check_range {
  uint64_t count;
  uint64_t first;
};

static inline struct check_range check_arguments(int argc, char **argv,
                                                 uint64_t count)
{
  struct check_range range = {count, 1};
  if (argc > 1)
    range.count = strtoull(argv[1], NULL, 10);
  if (argc > 2)
    range.first = strtoull(argv[2], NULL, 10);
  return range;
}

/* Runs a round for each seed, up to the first that fails. */
static inline void check_rounds(struct check_range range,
                                void (*round)(uint64_t seed))
{
  for (uint64_t i = 0; i < range.count && check_failures == 0; i++) {
    check_seed(range.first + i);
    round(range.first + i);
  }
}

/* A sequence of numbers that is the same on every machine (splitmix64). */
static inline uint64_t check_random(uint64_t *seed)
{
  uint64_t z = *seed += UINT64_C(0x9e3779b97f4a7c15);
  z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
  return z ^ z >> 31;
}

static inline uint64_t check_below(uint64_t *seed, uint64_t bound)
{
  return check_random(seed) % bound;
}

/* A number of random size: as many of 8 bits as of 60. */
static inline uint64_t check_scaled(uint64_t *seed)
{
  return check_random(seed) >> check_below(seed, 64);
}

#endif
