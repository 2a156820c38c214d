/* Connections and statements of SQLite for Lua. They block: they are for the
 * thread of a store.
 *
 * An error is raised as a table with `code`, `message` and `result`, the number
 * of SQLite: the code is "unavailable" when it can be tried again (busy, disk
 * full, I/O), "corrupt" when the file is damaged or no database, and "sql"
 * otherwise. */
#ifndef UJ_STORE_SQLITE_DATABASE_H
#define UJ_STORE_SQLITE_DATABASE_H

#include <lauxlib.h>

/* open(path, busy_ms): a database, with the methods
 *   exec(sql)
 *   prepare(sql): a statement
 *   changes(): rows that the last statement has changed
 *   last_id(): of the row that was inserted last
 *   watch_wal(): from now on
 *   wal_pages(): says how many pages the WAL had after the last commit
 *   checkpoint(mode): "passive" or "truncate"; returns whether all was written
 *     back, and the pages of the WAL
 *   in_transaction()
 *   close()
 * and a statement has
 *   run(...): binds, runs to the end; returns how many rows were changed
 *   first(...): binds; returns the columns of the first row, or nothing
 *   bind(...), then step(): the columns of the next row, or nothing
 *   reset(): ends stepping
 *   rows(...): a list of all rows, which are lists; with their `names` */
extern const luaL_Reg uj_database_functions[];

/* [-0, +0, m] Registers the types. */
void uj_database_register(lua_State *L);

#endif
