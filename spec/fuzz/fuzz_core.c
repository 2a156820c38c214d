/* Plays random operations on the whole core against the model, as test_random
 * does, for as long as you like. Usage:
 *   fuzz_core [SECONDS [FIRST SEED]]  seeds in turn; one minute, from the clock
 *   fuzz_core -s SEED                 one seed, and prints every operation
 *   fuzz_core -w SEED FILE            writes the bytes of a seed to a file
 *   fuzz_core FILE...                 plays files, such as those of a fuzzer
 * With FUZZ_LIBFUZZER defined it is a target of libFuzzer instead, whose input
 * is such a file. */
#include "check.h"

#include <time.h>

#include "play.h"

#define OPS 100000 /* the bytes are used up before */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  play.next = data;
  play.end = data + size;
  play_round(OPS);
  if (check_failures != 0) {
    fflush(stdout);
    abort();
  }
  return 0;
}

#ifndef FUZZ_LIBFUZZER

#define SMALLEST 64
#define LARGEST 4096
#define SEED_LIMIT_S 60 /* a round that takes longer hangs */

/* What a process that plays a seed notes down for its parent. */
struct progress {
  uint64_t seed; /* that is being played */
  uint64_t seeds;
  uint64_t ops;
};

/* Short inputs show a fault with fewer operations; long ones find more. */
static size_t make_bytes(uint64_t seed, uint8_t bytes[LARGEST])
{
  uint64_t rng = seed;
  size_t size = (size_t)SMALLEST << check_below(&rng, 7);
  for (size_t i = 0; i < size; i++)
    bytes[i] = (uint8_t)check_random(&rng);
  return size;
}

static void play_seed(uint64_t seed)
{
  uint8_t bytes[LARGEST];
  size_t size = make_bytes(seed, bytes);
  /* The block has just this size, so that ASan sees a read beyond the end. */
  uint8_t *copy = malloc(size);
  if (copy == NULL)
    abort();
  memcpy(copy, bytes, size);
  (void)LLVMFuzzerTestOneInput(copy, size);
  free(copy);
}

static void note(struct progress progress)
{
  if (pwrite(fileno(check_note), &progress, sizeof progress, 0) !=
      sizeof progress)
    abort();
}

static void play_until(time_t end, uint64_t first)
{
  struct progress progress = {first, 0, 0};
  for (; time(NULL) < end; progress.seed++) {
    note(progress);
    alarm(SEED_LIMIT_S);
    play_seed(progress.seed);
    progress.seeds++;
    progress.ops = play.ops;
  }
  alarm(0);
  note(progress);
}

static void report(const char *program, int status)
{
  struct progress progress = {0, 0, 0};
  if (pread(fileno(check_note), &progress, sizeof progress, 0) !=
      sizeof progress)
    abort();
  printf("%" PRIu64 " seeds, %" PRIu64 " operations\n", progress.seeds,
         progress.ops);
  if (status == 0)
    return;
  if (WIFSIGNALED(status))
    printf("FAILED with signal %d", WTERMSIG(status));
  else
    printf("FAILED with exit status %d", WEXITSTATUS(status));
  printf(" in seed %" PRIu64 "; again: %s -s %" PRIu64 "\n", progress.seed,
         program, progress.seed);
}

/* Plays a seed in a process of its own, so that the seed is known however it
 * fails. */
static int play_for(const char *program, uint64_t seconds, uint64_t first)
{
  int status;
  pid_t pid;
  check_note = tmpfile();
  if (check_note == NULL)
    abort();
  printf("%" PRIu64 " s, first seed %" PRIu64 "\n", seconds, first);
  pid = check_fork();
  if (pid == 0) {
    play_until(time(NULL) + (time_t)seconds, first);
    exit(0);
  }
  status = check_join(pid);
  report(program, status);
  fclose(check_note);
  return status != 0;
}

static int fail(const char *name)
{
  perror(name);
  return 2;
}

static int write_seed(uint64_t seed, const char *name)
{
  uint8_t bytes[LARGEST];
  size_t size = make_bytes(seed, bytes);
  FILE *file = fopen(name, "wb");
  bool written;
  if (file == NULL)
    return fail(name);
  written = fwrite(bytes, 1, size, file) == size;
  return fclose(file) == 0 && written ? 0 : fail(name);
}

static int play_file(const char *name)
{
  static uint8_t bytes[1 << 20];
  size_t size;
  FILE *file = fopen(name, "rb");
  if (file == NULL)
    return fail(name);
  size = fread(bytes, 1, sizeof bytes, file);
  if (ferror(file))
    return fail(name);
  fclose(file);
  play.loud = true;
  return LLVMFuzzerTestOneInput(bytes, size);
}

static bool is_number(const char *text)
{
  return text[0] != '\0' && text[strspn(text, "0123456789")] == '\0';
}

static uint64_t number(const char *text)
{
  return strtoull(text, NULL, 10);
}

static int play_files(int count, char **names)
{
  int status = 0;
  for (int i = 0; i < count && status == 0; i++)
    status = play_file(names[i]);
  return status;
}

int main(int argc, char **argv)
{
  uint64_t seconds = 60, first = (uint64_t)time(NULL) * 1000000;
  if (argc == 3 && strcmp(argv[1], "-s") == 0 && is_number(argv[2])) {
    play.loud = true;
    play_seed(number(argv[2]));
    return 0;
  }
  if (argc == 4 && strcmp(argv[1], "-w") == 0 && is_number(argv[2]))
    return write_seed(number(argv[2]), argv[3]);
  if (argc > 1 && argv[1][0] == '-') {
    fprintf(stderr,
            "usage: %s [SECONDS [FIRST SEED] | -s SEED | "
            "-w SEED FILE | FILE...]\n",
            argv[0]);
    return 2;
  }
  if (argc > 1 && !is_number(argv[1]))
    return play_files(argc - 1, argv + 1);
  if (argc > 1)
    seconds = number(argv[1]);
  if (argc > 2)
    first = number(argv[2]);
  return play_for(argv[0], seconds, first);
}

#endif
