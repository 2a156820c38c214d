/* A thread that answers requests, one after the other, and may block for it.
 *
 * Requests and answers are messages of bytes with a number. The thread of the
 * loop sends requests and takes answers; the service's own thread receives
 * requests and sends answers, of which each wakes the loop. A message belongs
 * to whoever has it: to the sender until it is sent, then to the service, then
 * to whoever has taken it. */
#ifndef UJ_LOOP_SERVICE_H
#define UJ_LOOP_SERVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/link.h"

struct uj_driver;
struct uj_service;

/* Made by malloc(), and so is `data`. */
struct uj_message {
  struct uj_link link; /* of the queue that it waits in */
  uint64_t id;
  char *data;
  size_t size;
  size_t carried; /* what `drop` needs to know */
  void (*drop)(const char *data, size_t carried); /* lets go of what the bytes
                                                     refer to; or NULL */
};

/* Returns NULL without memory; `data` then stays the caller's. The caller may
 * set `carried` and `drop`. */
struct uj_message *uj_message_new(uint64_t id, char *data, size_t size);
void uj_message_free(struct uj_message *message); /* may be NULL */

/* Starts a thread that runs `run(service, arg)`, with all signals blocked. The
 * driver must outlive it. Returns 0, or a negative error of
 * uj_driver_strerror(). */
int uj_service_start(struct uj_service **service, struct uj_driver *driver,
                     void (*run)(struct uj_service *service, void *arg),
                     void *arg);
/* Asks the thread to end, and does not wait for it. */
void uj_service_finish(struct uj_service *service);
/* Asks the thread to end, waits until it has, and frees the service with all
 * messages. Where the process was forked, there is no thread to wait for. */
void uj_service_end(struct uj_service *service);

/* ---- in the thread of the loop ------------------------------------------- */

/* False where the process was forked since: nobody would answer. */
bool uj_service_is_here(const struct uj_service *service);
void uj_service_send(struct uj_service *service, struct uj_message *request);
/* Takes back the request with this number; NULL when the thread has it. */
struct uj_message *uj_service_withdraw(struct uj_service *service, uint64_t id);
/* Whether there is an answer. What has noted that the loop was woken may not be
 * who takes them: so whoever is about to wait asks this before. */
bool uj_service_has_answer(const struct uj_service *service);
/* Takes the next answer, or NULL. */
struct uj_message *uj_service_take_answer(struct uj_service *service);

/* ---- in the thread of the service ---------------------------------------- */

/* Waits until there are requests, or `fd` is readable (-1 for none), or so many
 * milliseconds have passed, or it is to end. Returns whether `fd` is readable.
 */
bool uj_service_wait(struct uj_service *service, int fd, int timeout_ms);
/* From now on what comes wakes this driver, of a loop that the thread runs,
 * instead of ending a wait as above; until NULL is given. It must not be freed
 * before. */
void uj_service_wake_driver(struct uj_service *service,
                            struct uj_driver *driver);
/* Whether there is a request. */
bool uj_service_has_request(const struct uj_service *service);
/* Receives the next request, or NULL. */
struct uj_message *uj_service_receive(struct uj_service *service);
void uj_service_answer(struct uj_service *service, struct uj_message *answer);
/* Whether the thread is to end. */
bool uj_service_ends(const struct uj_service *service);

#endif
