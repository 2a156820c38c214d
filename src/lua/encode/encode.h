/* Values of Lua as JSON and back, such that they arrive equal: integers stay
 * integers and floats floats. For the arguments of durable jobs.
 *
 * A float always has a point or an exponent ("1.0"), an infinite one is written
 * as 1e999, which reads as infinite. A table with the keys 1 to n is a list,
 * one with strings as keys an object, whose keys are sorted; an empty one is
 * {}. */
#ifndef UJ_LUA_ENCODE_H
#define UJ_LUA_ENCODE_H

#include <lauxlib.h>

/* encode(value, most): a string of at most so many bytes; or nil, what is
 * wrong, and where: a path such as ".users[3]", or "" for the value itself.
 *
 * decode(text): the value; or nil and what is wrong. (The value can be nil,
 * too.) */
extern const luaL_Reg uj_encode_internals[];

#endif
