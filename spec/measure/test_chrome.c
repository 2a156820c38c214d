/* measure/chrome.h: what stands in the file at each moment. That it is good
 * JSON is checked by spec/insight/trace_spec.lua. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "measure/chrome.h"

static struct uj_chrome chrome;
static char path[] = "/tmp/test_chrome.XXXXXX";
static char text[300000];

/* Reads the file. Returns its length. */
static size_t read_file(void)
{
  FILE *file = fopen(path, "r");
  size_t length;
  CHECK(file != NULL);
  length = fread(text, 1, sizeof(text) - 1, file);
  text[length] = '\0';
  (void)fclose(file);
  return length;
}

static void check_whole(void)
{
  size_t length = read_file();
  CHECK(length >= 4 && memcmp(text, "[\n{", 3) == 0);
  CHECK(strcmp(text + length - 4, "}\n]\n") == 0);
  CHECK(length <= chrome.limit);
}

static void the_file_is_whole_after_each_write(void)
{
  CHECK_EQ(uj_chrome_open(&chrome, path, UINT64_MAX, 1000), 0);
  check_whole();
  for (int i = 0; i < 3000; i++) {
    uj_chrome_slice(&chrome, 0, 7, 2000 + (uint64_t)i * 1000, 2500);
    if (i % 500 == 0)
      uj_chrome_flush(&chrome);
    if (i % 100 == 0)
      check_whole();
  }
  uj_chrome_close(&chrome);
  uj_chrome_close(&chrome);
  check_whole();
  CHECK_EQ(read_file(), uj_chrome_size(&chrome));
  CHECK_EQ(chrome.events, 3000);
  CHECK(strstr(text, "\"ts\":1.000,\"dur\":0.499,\"name\":\"job\"") != NULL);
}

static void the_limit_is_never_passed(void)
{
  for (uint64_t limit = UJ_CHROME_LEAST; limit < 3000; limit += 37) {
    CHECK_EQ(uj_chrome_open(&chrome, path, limit, 0), 0);
    for (uint64_t i = 0; i < 100; i++) {
      uj_chrome_begin_job(&chrome, 0, i, 0, i);
      uj_chrome_arrow(&chrome, "spawn", i, i + 1);
      uj_chrome_end_job(&chrome, 0, i, "done", i + 1);
      uj_chrome_count(&chrome, i, UINT64_MAX, UINT64_MAX);
    }
    CHECK(chrome.full && chrome.fd < 0);
    check_whole();
    uj_chrome_close(&chrome);
  }
}

static void a_name_has_one_number(void)
{
  char name[200];
  uint32_t first;
  CHECK_EQ(uj_chrome_open(&chrome, path, UINT64_MAX, 0), 0);
  first = uj_chrome_name(&chrome, "first", 5);
  for (int i = 0; i < 10000; i++) {
    int length = snprintf(name, sizeof(name), "name %d", i);
    (void)uj_chrome_name(&chrome, name, (size_t)length);
  }
  CHECK_EQ(uj_chrome_name(&chrome, "first", 5), first);
  CHECK_EQ(uj_chrome_name(&chrome, "job", 3), 0);
  CHECK_EQ(uj_chrome_name(&chrome, "one too many", 12), 0);
  memset(name, '\xff', sizeof(name));
  (void)uj_chrome_name(&chrome, name, sizeof(name));
  uj_chrome_close(&chrome);
}

static void a_file_that_cannot_be_written_is_told(void)
{
  CHECK(uj_chrome_open(&chrome, "/no/such/file", 1024, 0) != 0);
  CHECK(chrome.fd < 0);
  uj_chrome_slice(&chrome, 0, 1, 0, 1);
  uj_chrome_close(&chrome);
}

int main(void)
{
  static const struct check_test tests[] = {
      {"the file is whole after each write",
       the_file_is_whole_after_each_write},
      {"the limit is never passed", the_limit_is_never_passed},
      {"a name has one number", a_name_has_one_number},
      {"a file that cannot be written is told",
       a_file_that_cannot_be_written_is_told},
  };
  int fd = mkstemp(path), status;
  CHECK(fd >= 0);
  (void)close(fd);
  status = CHECK_RUN(tests);
  (void)remove(path);
  return status;
}
