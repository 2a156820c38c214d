/* A look at some of very many jobs: for who shows some of them, and counts the
 * others. Nothing of Lua is made for those that are not told. */
#ifndef UJ_LUA_INSIGHT_PART_H
#define UJ_LUA_INSIGHT_PART_H

#include <lauxlib.h>

/* For lua/uvjobs/insight/. The jobs of a look have indices from 1 on, in the
 * order of their numbers; every function but seen() is given what that returns.
 * seen(): looks; returns two values.
 * seen_kinds(...): a table of how many jobs wait for what, by the words of it.
 * seen_waiting(..., kinds): the indices of those whose word is a key of the
 * table, but for jobs that wait for one other, which waits for one other and so
 * on up to one with another word that is not pending.
 * seen_first(..., sort, most): the indices of so many jobs that are the oldest
 * ("age"), have been resumed most often ("resumes"), have run longest ("ran")
 * or were ready for longest ("ready"). seen_on(..., scheduler): those of a
 * scheduler, given as `of` in a glance. seen_schedulers(...): of each
 * scheduler, its first job. seen_index(..., id): the index of the job with this
 * number, or nothing. seen_glance(..., index): what glances() has of it;
 * nothing when it has ended meanwhile. */
extern const luaL_Reg uj_part_internals[];

#endif
