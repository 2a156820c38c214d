/* The other side: asks a process, see server.h. */
#ifndef UJ_INSPECT_CLIENT_H
#define UJ_INSPECT_CLIENT_H

#include <stdint.h>
#include <sys/types.h>

/* Calls a process, which opens its socket then; see uj_poke_hear(). Returns 0
 * or a negative errno. */
int uj_client_call(pid_t process);

/* Connects to a socket, whose reads and writes fail after so long. Returns a
 * descriptor or a negative errno: -EPERM when another user than this one, and
 * not root, listens there: who could tell anything in the name of the process.
 */
int uj_client_connect(const char *path, uint64_t limit_ns, uid_t user);

/* Returns 0 or a negative errno. */
int uj_client_send(int fd, const char *text, size_t n);

/* Returns how much was read, 0 at the end, or a negative errno. */
ssize_t uj_client_receive(int fd, char *text, size_t size);

#endif
