/* For the commands that look into another process: what Lua's own libraries do
 * not have. */
#ifndef UJ_LUA_INSIGHT_ASKING_H
#define UJ_LUA_INSIGHT_ASKING_H

#include <lauxlib.h>

/* Each returns nil, the name of the error and a message when it fails.
 *   ask(path, question, seconds): the answer of the process with this socket,
 *     with its last line, which begins with "end" or "error"; it blocks
 *   call_process(pid): has it open its socket
 *   list_directory(path): a list of names
 *   nap(seconds): blocks
 *   take_terminal(): whether keys come one by one now; give_back_terminal()
 *   read_keys(seconds): the bytes of keys, "" for none yet, or nil at the end
 *   user(), pid(): of this process */
extern const luaL_Reg uj_asking_internals[];

#endif
