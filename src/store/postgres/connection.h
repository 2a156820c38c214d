/* Connections of libpq for Lua, in pipeline mode. Nothing here blocks but the
 * look-up of a host name: the caller waits with a limit of its own.
 *
 * Each query is followed by its results, and each sync() by one of the status
 * "sync": all queries between two of them are one transaction, unless they
 * begin one themselves. */
#ifndef UJ_STORE_POSTGRES_CONNECTION_H
#define UJ_STORE_POSTGRES_CONNECTION_H

#include <lauxlib.h>

/* connect(names, values): begins a connection, by two lists of strings; a
 *   `dbname` may be a connection string. Methods:
 *     poll(): goes on connecting: "reading" or "writing" says what to wait for,
 *       "connected", "failed"
 *     fd(): the socket, or -1
 *     begin_pipeline()
 *     query(sql, parameters) sends a query; parameters is a list with n
 *     prepare(name, sql)
 *     execute(name, parameters)
 *     simple(sql): outside a pipeline
 *     sync()
 *     flush(): whether all that is to be sent has been
 *     consume(): reads what has come
 *     is_busy(): whether result() would have to wait
 *     result(): see result.h; nil at the end of the results of one query
 *     notices(): a list of what NOTIFY has sent: { channel, payload, pid }
 *     message(): the error of the connection
 *     is_broken()
 *     pid(): what the server said at the beginning, of its own process
 *     parameter(name): of the server
 *     close()
 *   All that send return whether that was possible. */
extern const luaL_Reg uj_connection_functions[];

/* [-0, +0, m] Registers the type. */
void uj_connection_register(lua_State *L);

#endif
