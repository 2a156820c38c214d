/* Locks and threads do not survive a fork of the process: who shares something
 * between threads notes in which process that was. */
#ifndef UJ_CHANNEL_PROCESS_H
#define UJ_CHANNEL_PROCESS_H

/* How many forks, since the first call, have led to this process. */
unsigned uj_process_forks(void);

#endif
