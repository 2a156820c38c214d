/* What the store in PostgreSQL asks of the system. */
#ifndef UJ_STORE_POSTGRES_SYSTEM_H
#define UJ_STORE_POSTGRES_SYSTEM_H

#include <lauxlib.h>

/* now(): seconds of a clock that no date changes.
 * pid(): of this process.
 * wait(fd, reads, writes, seconds): waits until the descriptor is readable or
 *   writable, as asked for; returns whether it is. */
extern const luaL_Reg uj_postgres_system_functions[];

#endif
