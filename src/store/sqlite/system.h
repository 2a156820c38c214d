/* What the store in SQLite asks of the system: clocks, locks that say which
 * process lives, and notice of changes. */
#ifndef UJ_STORE_SQLITE_SYSTEM_H
#define UJ_STORE_SQLITE_SYSTEM_H

#include <lauxlib.h>

/* date(): microseconds since 1970.
 * monotonic(): microseconds of a clock that no date changes, the same for all
 *   processes of the machine.
 * boot(): a text that is another one after the machine was started again.
 * pid(): of this process.
 * file(path): device and inode; nothing when there is none.
 * size(path): bytes of a file, 0 when there is none.
 * filesystem(path): the name of a network file system that it lies on, or nil.
 * locks(path): a file of locks, with the methods
 *     take(n): locks number n until the file is closed or the process dies;
 *       returns whether nobody else has it
 *     release(n)
 *     is_held(n): whether another open file has it
 *     close()
 * notices(path): of changes of a file; nil where the system has none. Methods:
 *     fd()
 *     clear(): forgets what has come
 *     close() */
extern const luaL_Reg uj_system_functions[];

/* [-0, +0, m] Registers the types. */
void uj_system_register(lua_State *L);

#endif
