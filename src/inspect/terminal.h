/* The keys of a terminal, for a view that is drawn again and again. */
#ifndef UJ_INSPECT_TERMINAL_H
#define UJ_INSPECT_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* From now on keys come one by one, also those that else send a signal, and are
 * not shown. It is undone at the end of the process at the latest. Returns
 * false when standard input is no terminal. */
bool uj_terminal_take(void);
void uj_terminal_give_back(void);

/* Waits for a key, at most for so long. Returns the number of bytes that were
 * read of it or of several; 0 when there are none, or when the size of the
 * terminal has changed; -1 at the end of the input. */
int uj_terminal_read(char *keys, size_t size, uint64_t limit_ns);

#endif
