/* uvjobs.coroutine: coroutines of a job that can suspend the job itself. */
#ifndef UJ_LUA_COROUTINE_H
#define UJ_LUA_COROUTINE_H

#include <lauxlib.h>

extern const luaL_Reg uj_coroutine_functions[];

#endif
