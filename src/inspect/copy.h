/* A copy of the process, as fork() makes one, that looks at its memory and
 * tells what it finds.
 *
 * The memory of the copy is that of one moment, and stands still: so looking at
 * it takes as long as it takes, and changes nothing in the process itself,
 * which stands still only while the copy is made. The copy can even be made
 * while the loop does not answer, and when what it finds then makes no sense,
 * it is the copy that crashes.
 *
 * Nobody hears of a copy but who made it: its end sends no signal, wait() does
 * not return it, it closes all descriptors but one at once, gets no signals,
 * runs no handlers of forks and of exits, and is the first to go when memory is
 * short. It must not take a lock, nor call malloc(): another thread may have
 * held the lock when it was copied. */
#ifndef UJ_INSPECT_COPY_H
#define UJ_INSPECT_COPY_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Returns the number of the copy; in the copy itself 0, where only `fd` is open
 * still; or a negative errno. */
pid_t uj_copy_make(int fd);

/* In the copy: ends it. */
_Noreturn void uj_copy_end(bool is_good);

/* Returns a descriptor of a file without a name, for what a copy writes; or a
 * negative errno. */
int uj_copy_open_file(void);

/* In the copy: writes to its descriptor. If that is a socket, it goes on for as
 * long as its reader takes something within the time that the socket has.
 * Returns whether all was written. */
bool uj_copy_write(int fd, const char *text, size_t n);

/* In the copy: an allocator as Lua wants one, that never frees, and takes no
 * lock. */
void *uj_copy_alloc(void *unused, void *block, size_t old_size, size_t size);

/* What has become of a copy. */
enum uj_copy_end {
  UJ_COPY_RUNS,
  UJ_COPY_GOOD,
  UJ_COPY_BAD, /* it could not write: its reader has gone, or does not read */
  UJ_COPY_CRASHED
};
/* Does not wait. Once it has returned another thing than UJ_COPY_RUNS the copy
 * is forgotten. */
enum uj_copy_end uj_copy_look(pid_t copy);
/* Ends it and forgets it. */
void uj_copy_kill(pid_t copy);

#endif
