/* The record of a supervised child as Lua has it, a list: see
 * lua/uvjobs/supervisor/child.lua. Most children are started with nothing but a
 * function, a name and `restart`, by the thousand: that is done here, because
 * it would cost five times as much in Lua. All else about them is Lua's. */
#ifndef UJ_LUA_SUPERVISOR_RECORD_H
#define UJ_LUA_SUPERVISOR_RECORD_H

#include <lauxlib.h>

/* For lua/uvjobs/supervisor:
 * child_places(): a table of the places of what a record has, by name.
 * new_child(Child, name, fn, kind, state): a record with this metatable.
 * start_plain(scheduler, options, names, kinds, children, place, Child, state):
 * makes a child of what start() was given, and begins its run, if that is a
 * short matter: the options are a function, a name that is not in `names`, and
 * a `restart` that `kinds` has, and the job that calls has no context and may
 * suspend. Enters the child into `names` and `children` and returns it. In all
 * other cases it does nothing and returns nothing. */
extern const luaL_Reg uj_record_internals[];

#endif
