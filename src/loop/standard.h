/* The descriptors that the process has from its parent: those of standard
 * input, output and error, and how many more it may open. */
#ifndef UJ_LOOP_STANDARD_H
#define UJ_LOOP_STANDARD_H

#include <stdbool.h>

/* Opens /dev/null in the place of each of the three that the process was
 * started without. Otherwise the next file, socket or event queue that the
 * process opens gets that number: what it prints would go there, a child would
 * inherit it, and libuv aborts when it closes it. Returns 0, or a negative
 * error of uj_driver_strerror(). */
int uj_standard_open(void);

/* Whether so many more descriptors can be opened. */
bool uj_standard_has_descriptors(int n);

/* Writes out what is in the buffer of standard output. Returns whether all that
 * was ever printed has been written: print() does not say. */
bool uj_standard_flush(void);

/* Whether the descriptor is a terminal, and its size if that is known;
 * otherwise the size that terminals have had since long, 80 columns and 24
 * rows. */
bool uj_standard_get_size(int fd, int *columns, int *rows);

/* Whether standard input is a terminal. */
bool uj_standard_is_interactive(void);

#endif
