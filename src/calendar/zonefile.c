#define _POSIX_C_SOURCE 200809L

#include "calendar/zonefile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_SIZE ((size_t)1 << 20)

static struct uj_file_identity identity_of(const struct stat *status)
{
  struct uj_file_identity identity = {
      .device = (uint64_t)status->st_dev,
      .inode = (uint64_t)status->st_ino,
      .size = (int64_t)status->st_size,
      .modified_s = (int64_t)status->st_mtim.tv_sec,
      .modified_ns = (int64_t)status->st_mtim.tv_nsec,
  };
  return identity;
}

static bool is_same(const struct uj_file_identity *a,
                    const struct uj_file_identity *b)
{
  return a->device == b->device && a->inode == b->inode && a->size == b->size &&
         a->modified_s == b->modified_s && a->modified_ns == b->modified_ns;
}

/* Reads up to `size` bytes; returns how many, or SIZE_MAX for an error. */
static size_t read_all(int fd, void *data, size_t size)
{
  size_t total = 0;
  while (total < size) {
    ssize_t n = read(fd, (char *)data + total, size - total);
    if (n == 0)
      break;
    if (n < 0 && errno != EINTR)
      return SIZE_MAX;
    total += n > 0 ? (size_t)n : 0;
  }
  return total;
}

/* Takes what the descriptor has. It reads a byte more than is allowed, so that
 * a file that is too large is told from one that just fits. */
static enum uj_zonefile_error load(struct uj_zonefile *file, int fd)
{
  enum uj_zonefile_error error = UJ_ZONEFILE_UNREADABLE;
  void *data = malloc(MAX_SIZE + 1);
  size_t size;
  if (data == NULL) {
    errno = ENOMEM;
    return error;
  }
  size = read_all(fd, data, MAX_SIZE + 1);
  if (size != SIZE_MAX) {
    switch (uj_zone_new(&file->zone, data, size)) {
    case UJ_ZONE_OK:
      error = UJ_ZONEFILE_OK;
      break;
    case UJ_ZONE_NO_MEMORY:
      errno = ENOMEM;
      break;
    default:
      error = UJ_ZONEFILE_BROKEN;
    }
  }
  free(data);
  return error;
}

enum uj_zonefile_error uj_zonefile_open(struct uj_zonefile *file,
                                        const char *path)
{
  enum uj_zonefile_error error = UJ_ZONEFILE_UNREADABLE;
  struct stat status;
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), saved;
  file->zone = NULL;
  if (fd < 0)
    return error;
  if (fstat(fd, &status) == 0) {
    file->identity = identity_of(&status);
    if (S_ISREG(status.st_mode))
      error = load(file, fd);
    else
      errno = S_ISDIR(status.st_mode) ? EISDIR : EINVAL;
  }
  saved = errno;
  close(fd);
  errno = saved;
  return error;
}

void uj_zonefile_close(struct uj_zonefile *file)
{
  uj_zone_free(file->zone);
  file->zone = NULL;
}

void uj_zonefile_refresh(struct uj_zonefile *file, const char *path)
{
  struct uj_zonefile fresh;
  struct uj_file_identity identity;
  struct stat status;
  if (stat(path, &status) != 0)
    return;
  identity = identity_of(&status);
  if (is_same(&identity, &file->identity) ||
      uj_zonefile_open(&fresh, path) != UJ_ZONEFILE_OK)
    return;
  uj_zonefile_close(file);
  *file = fresh;
}
