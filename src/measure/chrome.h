/* A trace in the array form of Chrome's trace event format, which Perfetto
 * reads, too: https://docs.google.com/document/d/
 * 1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU
 *
 * Events are formatted into a buffer of this record, and that is written when
 * it is full, or by uj_chrome_flush(). The file ends with the bracket that ends
 * the array at every moment: each write begins where the last event ends, and
 * so replaces the bracket. It is never longer than its limit. */
#ifndef UJ_MEASURE_CHROME_H
#define UJ_MEASURE_CHROME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The longest name of an event, in bytes of JSON. */
enum { UJ_CHROME_NAME = 96, UJ_CHROME_BUFFER = 65536, UJ_CHROME_LEAST = 1024 };

struct uj_chrome_name {
  uint32_t hash;
  uint8_t length;
  char text[UJ_CHROME_NAME];
};

/* Names that many events have, in JSON. A name has a number. */
struct uj_chrome_names {
  struct uj_chrome_name *list;
  uint32_t count;
  uint32_t *slots; /* of the numbers, plus 1, by hash; 0 is free */
};

struct uj_chrome {
  int fd;    /* -1 when nothing is written any more */
  int error; /* the errno for which that is so, or 0 */
  bool full; /* the limit was reached */
  int pid;
  uint64_t begin_ns; /* what counts as 0 in the file */
  uint64_t limit;    /* bytes of the file at most */
  uint64_t end;      /* where the last event that was written ends */
  uint64_t events;   /* that were added */
  uint64_t flows;    /* numbers of arrows that were used */
  size_t used;       /* bytes of the buffer */
  char head[48];     /* of each event, `head_length` bytes of it */
  size_t head_length;
  struct uj_chrome_names names;
  char buffer[UJ_CHROME_BUFFER];
};

/* Opens the file, and empties it. Returns 0 or an errno. */
int uj_chrome_open(struct uj_chrome *self, const char *path, uint64_t limit,
                   uint64_t begin_ns);
/* Writes what is left, and closes the file. It may be called twice. */
void uj_chrome_close(struct uj_chrome *self);
/* The length of the file when all is written. */
uint64_t uj_chrome_size(const struct uj_chrome *self);

/* Writes what is in the buffer; but the child of a fork leaves the file to its
 * parent. */
void uj_chrome_flush(struct uj_chrome *self);

/* The number of a name; 0, which is "job", when there are too many. It may be
 * called while another thread adds events with numbers of earlier calls. */
uint32_t uj_chrome_name(struct uj_chrome *self, const char *text,
                        size_t length);

/* A job has run. */
void uj_chrome_slice(struct uj_chrome *self, uint32_t name, uint64_t job,
                     uint64_t begin_ns, uint64_t end_ns);
/* An arrow from the slice that encloses the first time to the one of the second
 * time. `what` is "spawn" or "wake". */
void uj_chrome_arrow(struct uj_chrome *self, const char *what, uint64_t from_ns,
                     uint64_t to_ns);
/* A job has been spawned; it has ended. */
void uj_chrome_begin_job(struct uj_chrome *self, uint32_t name, uint64_t job,
                         uint64_t parent, uint64_t now_ns);
void uj_chrome_end_job(struct uj_chrome *self, uint32_t name, uint64_t job,
                       const char *state, uint64_t now_ns);
/* How many jobs there are. */
void uj_chrome_count(struct uj_chrome *self, uint64_t ready, uint64_t live,
                     uint64_t now_ns);

#endif
