#define _GNU_SOURCE
#include "inspect/place.h"

#if defined(__linux__)

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Reads as much of a file as there is room for, and ends it by a zero. */
static size_t read_file(const char *path, char *text, size_t size)
{
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  size_t length = 0;
  ssize_t n = 1;
  if (fd < 0)
    return 0;
  while (n > 0 && length < size - 1) {
    n = read(fd, text + length, size - 1 - length);
    if (n > 0)
      length += (size_t)n;
  }
  close(fd);
  text[length] = '\0';
  return length;
}

/* The environment that the process was started with: another thread may change
 * the one of now, and whoever looks for the socket finds the same. */
static void runtime_directory(char *path, size_t size)
{
  static const char name[] = "XDG_RUNTIME_DIR=";
  static char environment[65536]; /* under the lock of the server */
  size_t n = read_file("/proc/self/environ", environment, sizeof(environment));
  path[0] = '\0';
  for (size_t at = 0; at < n; at += strlen(environment + at) + 1)
    if (strncmp(environment + at, name, sizeof(name) - 1) == 0)
      (void)snprintf(path, size, "%s", environment + at + sizeof(name) - 1);
}

/* In ticks of the system since it was started: the 22nd field, which follows 19
 * others after the name, which may have anything in it. */
static unsigned long long started_at(void)
{
  char text[1024], *at;
  if (read_file("/proc/self/stat", text, sizeof(text)) == 0)
    return 0;
  at = strrchr(text, ')');
  for (int i = 0; at != NULL && i < 20; i++)
    at = strchr(at + 1, ' ');
  return at == NULL ? 0 : strtoull(at, NULL, 10);
}

/* Whether the directory is there and is our user's alone. */
static bool is_private(const char *path)
{
  struct stat found;
  int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  bool good = fd >= 0 && fstat(fd, &found) == 0 && found.st_uid == geteuid() &&
              (found.st_mode & 077) == 0;
  if (fd >= 0)
    close(fd);
  return good;
}

/* Whether the socket can be in this directory. */
static bool try(const char *directory, char *path)
{
  int n;
  if (directory[0] != '/')
    return false;
  n = snprintf(path, UJ_PLACE_SIZE, "%s/%ld-%llu", directory, (long)getpid(),
               started_at());
  if (n < 0 || n >= UJ_PLACE_SIZE)
    return false;
  (void)mkdir(directory, 0700);
  return is_private(directory);
}

int uj_place_find(char path[UJ_PLACE_SIZE])
{
  char base[UJ_PLACE_SIZE], directory[UJ_PLACE_SIZE + 16];
  runtime_directory(base, sizeof(base));
  (void)snprintf(directory, sizeof(directory), "%s/uvjobs", base);
  if (base[0] == '/' && try(directory, path))
    return 0;
  (void)snprintf(directory, sizeof(directory), "/run/user/%lu/uvjobs",
                 (unsigned long)geteuid());
  if (try(directory, path))
    return 0;
  (void)snprintf(directory, sizeof(directory), "/tmp/uvjobs-%lu",
                 (unsigned long)geteuid());
  return try(directory, path) ? 0 : -EACCES;
}

#endif
