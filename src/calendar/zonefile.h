/* A zone that is kept in a file of the system's, and follows its changes. */
#ifndef UJ_CALENDAR_ZONEFILE_H
#define UJ_CALENDAR_ZONEFILE_H

#include <stdint.h>

#include "calendar/zone.h"

/* What told the file from another one when it was read. */
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

/* Opens a file. Nothing is to be closed when it fails. */
enum uj_zonefile_error uj_zonefile_open(struct uj_zonefile *file,
                                        const char *path);
void uj_zonefile_close(struct uj_zonefile *file);

/* Reads the file anew if it has changed. What was read before stays when there
 * is nothing better: an update may be under way. */
void uj_zonefile_refresh(struct uj_zonefile *file, const char *path);

#endif
