/* The date of the system, and notice of its steps.
 *
 * The date is what people set: it jumps when they do, and when the machine has
 * slept. The monotonic clock knows nothing of either. On Linux a descriptor
 * becomes readable then, which ends a wait of the driver; elsewhere nobody
 * says so, and who needs to know has to look from time to time. */
#ifndef UJ_LOOP_DATEWATCH_H
#define UJ_LOOP_DATEWATCH_H

#include <stdbool.h>
#include <stdint.h>

struct uj_datewatch_handle;

/* A part of a driver. */
struct uj_datewatch {
  void *loop;                         /* the driver's uv_loop_t */
  struct uj_datewatch_handle *handle; /* NULL until it is needed */
  bool is_on;
};

/* Nanoseconds since 1970; 0 for a date before that. */
uint64_t uj_datewatch_now(void);

void uj_datewatch_init(struct uj_datewatch *watch, void *loop);
/* After the loop has closed all of its handles. */
void uj_datewatch_term(struct uj_datewatch *watch);

/* Makes a step of the date end the driver's waits. Returns whether the system
 * can do that. */
bool uj_datewatch_start(struct uj_datewatch *watch);
void uj_datewatch_stop(struct uj_datewatch *watch);

#endif
