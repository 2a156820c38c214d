/* For specs: preloaded into a process, it ends that at the n-th write, sync or
 * statement of SQLite on files whose path begins with FAULT_PATH, or makes the
 * writes from there on fail as on a full disk.
 *
 *   FAULT_AT     n, counted from 1; without it everything is only counted
 *   FAULT_HOW    kill: SIGKILL instead of the operation
 *                torn: a write is half done before
 *                power: as if the power were lost: of the writes that were not
 *                  synced a random part is undone (FAULT_SEED), then SIGKILL
 *                full: the write fails with ENOSPC, and so do all after it,
 *                  until the file FAULT_PATH-space is there
 *                fills: writes fail with ENOSPC while FAULT_PATH-full is there
 *                read-only: no file can be opened for writing, or made
 *                sealed: no file can be made, as in a directory that is
 *                  read-only
 *                network: files seem to be on NFS
 *   FAULT_COUNT  a file that gets the number of operations at the end */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

enum { MOST_FDS = 256 };

/* What a write that was not synced has overwritten. */
struct undo {
  struct undo *before; /* the write before it */
  int fd;
  off_t offset, size_before; /* of the file */
  size_t size, had;          /* of the write; how much of it was in the file */
  char *bytes;               /* `had` of them */
};

static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static ssize_t (*real_write)(int, const void *, size_t);
static int (*real_fsync)(int), (*real_fdatasync)(int);
static int (*real_ftruncate)(int, off_t);
static int (*real_open)(const char *, int, ...);
static int (*real_statfs)(const char *, struct statfs *);
static int (*real_step)(void *);

static const char *path, *how = "kill", *count_file;
static long at, count;
static unsigned seed;
static bool has_failed;
static struct undo *undos;

__attribute__((constructor)) static void begin(void)
{
  const char *text = getenv("FAULT_AT");
  real_pwrite = (ssize_t(*)(int, const void *, size_t, off_t))dlsym(RTLD_NEXT,
                                                                    "pwrite64");
  real_write = (ssize_t(*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
  real_fsync = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
  real_fdatasync = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
  real_ftruncate = (int (*)(int, off_t))dlsym(RTLD_NEXT, "ftruncate64");
  real_statfs =
      (int (*)(const char *, struct statfs *))dlsym(RTLD_NEXT, "statfs");
  path = getenv("FAULT_PATH");
  at = text == NULL ? 0 : atol(text);
  if (getenv("FAULT_HOW") != NULL)
    how = getenv("FAULT_HOW");
  count_file = getenv("FAULT_COUNT");
  seed =
      getenv("FAULT_SEED") == NULL ? 1 : (unsigned)atol(getenv("FAULT_SEED"));
}

__attribute__((destructor)) static void end(void)
{
  FILE *file = count_file == NULL ? NULL : fopen(count_file, "w");
  if (file == NULL)
    return;
  fprintf(file, "%ld\n", count);
  fclose(file);
}

/* The -shm file is mapped, and is made anew from the WAL. */
static bool is_ours(int fd)
{
  char link[64], target[PATH_MAX];
  ssize_t size;
  if (path == NULL)
    return false;
  snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
  size = readlink(link, target, sizeof(target) - 1);
  if (size <= 0)
    return false;
  target[size] = '\0';
  return strncmp(target, path, strlen(path)) == 0 &&
         strstr(target, "-shm") == NULL;
}

static off_t size_of(int fd)
{
  struct stat found;
  return fstat(fd, &found) == 0 ? found.st_size : 0;
}

static void remember(int fd, size_t size, off_t offset)
{
  struct undo *undo;
  ssize_t had;
  if (strcmp(how, "power") != 0)
    return;
  undo = calloc(1, sizeof(*undo));
  undo->bytes = malloc(size);
  had = pread(fd, undo->bytes, size, offset);
  undo->had = had > 0 ? (size_t)had : 0;
  undo->fd = fd;
  undo->offset = offset;
  undo->size = size;
  undo->size_before = size_of(fd);
  undo->before = undos;
  undos = undo;
}

static void forget(int fd)
{
  struct undo **at_undo = &undos;
  while (*at_undo != NULL) {
    struct undo *undo = *at_undo;
    if (undo->fd != fd) {
      at_undo = &undo->before;
      continue;
    }
    *at_undo = undo->before;
    free(undo->bytes);
    free(undo);
  }
}

/* The latest write first. */
static void lose_power(void)
{
  for (struct undo *undo = undos; undo != NULL; undo = undo->before) {
    if (rand_r(&seed) % 2 == 0)
      continue;
    if (undo->had > 0)
      real_pwrite(undo->fd, undo->bytes, undo->had, undo->offset);
    if (undo->had < undo->size &&
        size_of(undo->fd) == undo->offset + (off_t)undo->size)
      real_ftruncate(undo->fd, undo->size_before);
  }
}

static bool is_how(const char *name)
{
  return strcmp(how, name) == 0;
}

/* A disk that is full from the n-th operation on. */
static bool fills_disk(void)
{
  if (strcmp(how, "full") != 0)
    return false;
  has_failed = has_failed || (at > 0 && count >= at);
  return true;
}

static void die(void)
{
  if (strcmp(how, "power") == 0)
    lose_power();
  kill(getpid(), SIGKILL);
  for (;;)
    pause();
}

/* Whether the operation comes at which it happens. */
static bool is_it(void)
{
  return ++count == at;
}

static bool is_full(void)
{
  char name[PATH_MAX];
  bool fills = is_how("fills");
  if (!has_failed && !fills)
    return false;
  snprintf(name, sizeof(name), "%s-%s", path, fills ? "full" : "space");
  return (access(name, F_OK) == 0) == fills;
}

/* A write begins. Returns false when it is to fail. */
static bool begin_write(int fd, const void *bytes, size_t size, off_t offset)
{
  if (!is_ours(fd))
    return true;
  if (is_it() && !fills_disk()) {
    if (strcmp(how, "torn") == 0)
      real_pwrite(fd, bytes, size / 2, offset);
    die();
  }
  (void)fills_disk();
  if (is_full()) {
    errno = ENOSPC;
    return false;
  }
  remember(fd, size, offset);
  return true;
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off_t offset)
{
  return begin_write(fd, bytes, size, offset)
             ? real_pwrite(fd, bytes, size, offset)
             : -1;
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
  return pwrite64(fd, bytes, size, offset);
}

ssize_t write(int fd, const void *bytes, size_t size)
{
  if (is_ours(fd) && !begin_write(fd, bytes, size, lseek(fd, 0, SEEK_CUR)))
    return -1;
  return real_write(fd, bytes, size);
}

/* Whether a file that is opened may be. Sets errno. */
static bool may_open(const char *name, int flags)
{
  bool is_new;
  if (path == NULL || strncmp(name, path, strlen(path)) != 0)
    return true;
  is_new = access(name, F_OK) != 0 && (flags & O_CREAT) != 0;
  errno = EACCES;
  if (is_how("read-only"))
    return !is_new && (flags & O_ACCMODE) == O_RDONLY;
  return !is_how("sealed") || !is_new;
}

int open64(const char *name, int flags, ...)
{
  va_list rest;
  int mode = 0;
  va_start(rest, flags);
  if ((flags & O_CREAT) != 0)
    mode = va_arg(rest, int);
  va_end(rest);
  if (real_open == NULL) /* other libraries may open files before begin() */
    real_open = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open64");
  return may_open(name, flags) ? real_open(name, flags, mode) : -1;
}

int open(const char *name, int flags, ...)
{
  va_list rest;
  int mode = 0;
  va_start(rest, flags);
  if ((flags & O_CREAT) != 0)
    mode = va_arg(rest, int);
  va_end(rest);
  return open64(name, flags, mode);
}

int statfs(const char *name, struct statfs *found)
{
  int result = real_statfs(name, found);
  if (result == 0 && is_how("network"))
    found->f_type = 0x6969;
  return result;
}

static int sync_by(int (*real)(int), int fd)
{
  int result;
  if (is_ours(fd) && is_it() && strcmp(how, "full") != 0)
    die();
  result = real(fd);
  if (result == 0)
    forget(fd);
  return result;
}

int fsync(int fd)
{
  return sync_by(real_fsync, fd);
}

int fdatasync(int fd)
{
  return sync_by(real_fdatasync, fd);
}

int sqlite3_step(void *statement)
{
  if (real_step == NULL)
    real_step = (int (*)(void *))dlsym(dlopen("libsqlite3.so.0", RTLD_LAZY),
                                       "sqlite3_step");
  if (is_it() && strcmp(how, "full") != 0)
    die();
  return real_step(statement);
}
