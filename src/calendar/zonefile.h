/* A zone that is read from a file of the system, and read again when that file
 * changes. */
#ifndef UJ_CALENDAR_ZONEFILE_H
#define UJ_CALENDAR_ZONEFILE_H

#include <stdint.h>

#include "calendar/zone.h"

/* By this a file is recognised: when it was replaced or rewritten since it was
 * read, at least one of these differs. */
struct uj_file_identity {
  uint64_t device, inode;
  int64_t size, modified_s, modified_ns;
};

struct uj_zonefile {
  struct uj_zone *zone; /* owned; what was in the file when it was read last */
  struct uj_file_identity identity;
};

enum uj_zonefile_error {
  UJ_ZONEFILE_OK,
  UJ_ZONEFILE_UNREADABLE, /* errno says why */
  UJ_ZONEFILE_BROKEN      /* it is no TZif file, or one with leap seconds */
};

/* Opens a file. After a failure there is nothing to close. */
enum uj_zonefile_error uj_zonefile_open(struct uj_zonefile *file,
                                        const char *path);
void uj_zonefile_close(struct uj_zonefile *file);

/* Reads the file anew if it has changed. What was read before stays when there
 * is nothing better: an update may be under way. */
void uj_zonefile_refresh(struct uj_zonefile *file, const char *path);

#endif
