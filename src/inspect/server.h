/* The socket by which other processes of the same user ask this one.
 *
 * It is there from the start, or when somebody has called for it, by a signal
 * (uj_poke_hear()); then a minute without a connection ends it again. A thread
 * accepts connections, and each of the few that there can be has a thread, so
 * that none waits for another, and no loop for any of them.
 *
 * A question is a line of at most 1000 bytes:
 *   hello        what is known without asking a loop
 *   cancel ..., trace ..., profile ...
 *                go to the loops; the first that does not refuse it has done it
 *   others       go to a copy of the process, for each loop
 * Each loop has its own numbers of jobs: "cancel 93 of 2" is for loop 2 only.
 * An answer is lines, of which the last is `end`, or begins with `error`.
 * Whatever is no such line, and whoever has another user, is not answered. */
#ifndef UJ_INSPECT_SERVER_H
#define UJ_INSPECT_SERVER_H

#include <stdbool.h>

#include "inspect/loops.h"

/* Whether there can be one on this system. */
bool uj_server_can_be(void);

/* From now on the loop can be asked. `at_once`: by a socket that is there from
 * the start. Returns 0 or a negative errno; then nothing has changed. */
int uj_server_add(struct uj_inspected *loop, bool at_once);
/* Ends that. It may be called for one that was not added. */
void uj_server_remove(struct uj_inspected *loop);

/* Opens the socket if somebody has called for it since the last call. */
void uj_server_open_if_called(void);

#endif
