/* Results of PostgreSQL as tables, and values of Lua as parameters. */
#ifndef UJ_STORE_POSTGRES_RESULT_H
#define UJ_STORE_POSTGRES_RESULT_H

#include <lauxlib.h>
#include <libpq-fe.h>

/* [-0, +1, m] Pushes a table: `status` is "rows", "done", "sync", "aborted" (by
 * an error before it in the pipeline), or "failed". With "rows" its elements
 * are lists of values, `names` has their names and `n` how many there are. It
 * has `command`, its name and numbers, and `changes` where the command says how
 * many rows it changed; with "failed" it has `message` and `state`, the
 * SQLSTATE. Does not free the result. */
void uj_result_push(lua_State *L, PGresult *result);

/* [-0, +1, m] Pushes the value at an index as PostgreSQL reads it in text form:
 * nil for NULL, a table with the field n as an array. Raises for what cannot be
 * one. */
void uj_parameter_push(lua_State *L, int idx);

#endif
