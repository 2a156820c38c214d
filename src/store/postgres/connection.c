#include "store/postgres/connection.h"

#include <libpq-fe.h>

#include "store/postgres/result.h"

#define CONNECTION_TYPE "uvjobs.postgres.Connection"
#define MOST_WORDS 32 /* of a connection string */
#define MOST_PARAMETERS 65535

struct connection {
  PGconn *conn; /* NULL when closed */
};

static PGconn *check_conn(lua_State *L)
{
  struct connection *self = luaL_checkudata(L, 1, CONNECTION_TYPE);
  if (self->conn == NULL)
    luaL_error(L, "the connection is closed");
  return self->conn;
}

/* What the server says besides is not for the terminal. */
static void ignore_notice(void *arg, const PGresult *result)
{
  (void)arg;
  (void)result;
}

/* ---- beginning and end --------------------------------------------------- */

/* [-0, +0, v] Fills words, which have room for MOST_WORDS and a NULL; the
 * strings belong to the list. */
static void read_words(lua_State *L, int list, const char **words)
{
  lua_Integer n = luaL_len(L, list);
  luaL_argcheck(L, n <= MOST_WORDS, list, "too many");
  for (lua_Integer i = 1; i <= n; i++) {
    lua_rawgeti(L, list, i);
    words[i - 1] = luaL_checkstring(L, -1);
    lua_pop(L, 1);
  }
  words[n] = NULL;
}

/* (names, values) */
static int l_connect(lua_State *L)
{
  const char *names[MOST_WORDS + 1], *values[MOST_WORDS + 1];
  struct connection *self = lua_newuserdatauv(L, sizeof(*self), 0);
  self->conn = NULL;
  luaL_setmetatable(L, CONNECTION_TYPE);
  read_words(L, 1, names);
  read_words(L, 2, values);
  self->conn = PQconnectStartParams(names, values, 1);
  if (self->conn == NULL)
    return luaL_error(L, "not enough memory");
  PQsetNoticeReceiver(self->conn, ignore_notice, NULL);
  return 1;
}

static int connection_poll(lua_State *L)
{
  PGconn *conn = check_conn(L);
  switch (PQconnectPoll(conn)) {
  case PGRES_POLLING_READING:
    lua_pushliteral(L, "reading");
    break;
  case PGRES_POLLING_WRITING:
    lua_pushliteral(L, "writing");
    break;
  case PGRES_POLLING_OK:
    (void)PQsetnonblocking(conn, 1);
    lua_pushliteral(L, "connected");
    break;
  default:
    lua_pushliteral(L, "failed");
  }
  return 1;
}

static int connection_close(lua_State *L)
{
  struct connection *self = luaL_checkudata(L, 1, CONNECTION_TYPE);
  PQfinish(self->conn); /* NULL is nothing to it */
  self->conn = NULL;
  return 0;
}

/* ---- sending ------------------------------------------------------------- */

struct parameters {
  int n;
  const char **values; /* a userdata of the stack; NULL without any */
};

/* [-0, +n, v] Reads the list at an index; the texts stay on the stack in a
 * table. */
static struct parameters read_parameters(lua_State *L, int idx)
{
  struct parameters read = {0, NULL};
  lua_Integer n;
  if (lua_isnoneornil(L, idx))
    return read;
  lua_getfield(L, idx, "n");
  n = luaL_checkinteger(L, -1);
  luaL_argcheck(L, n >= 0 && n <= MOST_PARAMETERS, idx, "too many parameters");
  lua_createtable(L, (int)n, 0);
  read.n = (int)n;
  read.values = lua_newuserdatauv(L, (size_t)(n + 1) * sizeof(char *), 0);
  for (int i = 0; i < read.n; i++) {
    lua_rawgeti(L, idx, i + 1);
    uj_parameter_push(L, -1);
    read.values[i] = lua_tostring(L, -1);
    lua_rawseti(L, -4, i + 1);
    lua_pop(L, 1);
  }
  return read;
}

static int push_sent(lua_State *L, int sent)
{
  lua_pushboolean(L, sent == 1);
  return 1;
}

static int connection_query(lua_State *L)
{
  PGconn *conn = check_conn(L);
  const char *sql = luaL_checkstring(L, 2);
  struct parameters given = read_parameters(L, 3);
  return push_sent(L, PQsendQueryParams(conn, sql, given.n, NULL, given.values,
                                        NULL, NULL, 0));
}

static int connection_prepare(lua_State *L)
{
  return push_sent(L, PQsendPrepare(check_conn(L), luaL_checkstring(L, 2),
                                    luaL_checkstring(L, 3), 0, NULL));
}

static int connection_execute(lua_State *L)
{
  PGconn *conn = check_conn(L);
  const char *name = luaL_checkstring(L, 2);
  struct parameters given = read_parameters(L, 3);
  return push_sent(
      L, PQsendQueryPrepared(conn, name, given.n, given.values, NULL, NULL, 0));
}

static int connection_simple(lua_State *L)
{
  return push_sent(L, PQsendQuery(check_conn(L), luaL_checkstring(L, 2)));
}

static int connection_begin_pipeline(lua_State *L)
{
  return push_sent(L, PQenterPipelineMode(check_conn(L)));
}

static int connection_sync(lua_State *L)
{
  return push_sent(L, PQpipelineSync(check_conn(L)));
}

/* An error counts as sent: reading says what it is. */
static int connection_flush(lua_State *L)
{
  lua_pushboolean(L, PQflush(check_conn(L)) != 1);
  return 1;
}

/* ---- receiving ----------------------------------------------------------- */

static int connection_consume(lua_State *L)
{
  return push_sent(L, PQconsumeInput(check_conn(L)));
}

static int connection_is_busy(lua_State *L)
{
  lua_pushboolean(L, PQisBusy(check_conn(L)));
  return 1;
}

/* (result): so that the result is freed also without memory for a table. */
static int push_result(lua_State *L)
{
  uj_result_push(L, lua_touserdata(L, 1));
  return 1;
}

static int connection_result(lua_State *L)
{
  PGresult *result = PQgetResult(check_conn(L));
  int status;
  if (result == NULL)
    return 0;
  lua_pushcfunction(L, push_result);
  lua_pushlightuserdata(L, result);
  status = lua_pcall(L, 1, 1, 0);
  PQclear(result);
  return status == LUA_OK ? 1 : lua_error(L);
}

/* (notice): so that it is freed also without memory for a table. */
static int push_notice(lua_State *L)
{
  const PGnotify *notice = lua_touserdata(L, 1);
  lua_createtable(L, 3, 0);
  lua_pushstring(L, notice->relname);
  lua_rawseti(L, -2, 1);
  lua_pushstring(L, notice->extra);
  lua_rawseti(L, -2, 2);
  lua_pushinteger(L, notice->be_pid);
  lua_rawseti(L, -2, 3);
  return 1;
}

static int connection_notices(lua_State *L)
{
  PGconn *conn = check_conn(L);
  PGnotify *notice;
  lua_Integer count = 0;
  lua_newtable(L);
  while ((notice = PQnotifies(conn)) != NULL) {
    int status;
    lua_pushcfunction(L, push_notice);
    lua_pushlightuserdata(L, notice);
    status = lua_pcall(L, 1, 1, 0);
    PQfreemem(notice);
    if (status != LUA_OK)
      return lua_error(L);
    lua_rawseti(L, -2, ++count);
  }
  return 1;
}

/* ---- what it is ---------------------------------------------------------- */

static int connection_fd(lua_State *L)
{
  lua_pushinteger(L, PQsocket(check_conn(L)));
  return 1;
}

static int connection_message(lua_State *L)
{
  lua_pushstring(L, PQerrorMessage(check_conn(L)));
  return 1;
}

static int connection_is_broken(lua_State *L)
{
  lua_pushboolean(L, PQstatus(check_conn(L)) == CONNECTION_BAD);
  return 1;
}

static int connection_pid(lua_State *L)
{
  lua_pushinteger(L, PQbackendPID(check_conn(L)));
  return 1;
}

static int connection_parameter(lua_State *L)
{
  lua_pushstring(L, PQparameterStatus(check_conn(L), luaL_checkstring(L, 2)));
  return 1;
}

void uj_connection_register(lua_State *L)
{
  static const luaL_Reg methods[] = {
      {"poll", connection_poll},
      {"fd", connection_fd},
      {"begin_pipeline", connection_begin_pipeline},
      {"query", connection_query},
      {"prepare", connection_prepare},
      {"execute", connection_execute},
      {"simple", connection_simple},
      {"sync", connection_sync},
      {"flush", connection_flush},
      {"consume", connection_consume},
      {"is_busy", connection_is_busy},
      {"result", connection_result},
      {"notices", connection_notices},
      {"message", connection_message},
      {"is_broken", connection_is_broken},
      {"pid", connection_pid},
      {"parameter", connection_parameter},
      {"close", connection_close},
      {NULL, NULL}};
  luaL_newmetatable(L, CONNECTION_TYPE);
  lua_newtable(L);
  luaL_setfuncs(L, methods, 0);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, connection_close);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
}

const luaL_Reg uj_connection_functions[] = {{"connect", l_connect},
                                            {NULL, NULL}};
