#include "store/postgres/result.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Types of the server by their numbers, which do not change. */
enum {
  TYPE_BOOL = 16,
  TYPE_INT8 = 20,
  TYPE_INT2 = 21,
  TYPE_INT4 = 23,
  TYPE_FLOAT4 = 700,
  TYPE_FLOAT8 = 701
};

/* ---- results ------------------------------------------------------------- */

/* [-0, +1, m] */
static void push_value(lua_State *L, const PGresult *result, int row, int i)
{
  const char *text = PQgetvalue(result, row, i);
  if (PQgetisnull(result, row, i)) {
    lua_pushnil(L);
    return;
  }
  switch (PQftype(result, i)) {
  case TYPE_BOOL:
    lua_pushboolean(L, text[0] == 't');
    break;
  case TYPE_INT2:
  case TYPE_INT4:
  case TYPE_INT8:
    lua_pushinteger(L, (lua_Integer)strtoll(text, NULL, 10));
    break;
  case TYPE_FLOAT4:
  case TYPE_FLOAT8:
    lua_pushnumber(L, strtod(text, NULL));
    break;
  default:
    lua_pushlstring(L, text, (size_t)PQgetlength(result, row, i));
  }
}

/* [-0, +0, m] Sets the field `names` of the table on the top. */
static void set_names(lua_State *L, const PGresult *result)
{
  int n = PQnfields(result);
  lua_createtable(L, n, 0);
  for (int i = 0; i < n; i++) {
    lua_pushstring(L, PQfname(result, i));
    lua_rawseti(L, -2, i + 1);
  }
  lua_setfield(L, -2, "names");
}

/* [-0, +0, m] Adds the rows to the table on the top. */
static void set_rows(lua_State *L, const PGresult *result)
{
  int columns = PQnfields(result), n = PQntuples(result);
  for (int row = 0; row < n; row++) {
    lua_createtable(L, columns, 0);
    for (int i = 0; i < columns; i++) {
      push_value(L, result, row, i);
      lua_rawseti(L, -2, i + 1);
    }
    lua_rawseti(L, -2, row + 1);
  }
  lua_pushinteger(L, n);
  lua_setfield(L, -2, "n");
  set_names(L, result);
}

/* [-0, +0, m] */
static void set_string(lua_State *L, const char *name, const char *value)
{
  lua_pushstring(L, value);
  lua_setfield(L, -2, name);
}

static const char *status_of(const PGresult *result)
{
  switch (PQresultStatus(result)) {
  case PGRES_TUPLES_OK:
  case PGRES_SINGLE_TUPLE:
    return "rows";
  case PGRES_COMMAND_OK:
  case PGRES_EMPTY_QUERY:
    return "done";
  case PGRES_PIPELINE_SYNC:
    return "sync";
  case PGRES_PIPELINE_ABORTED:
    return "aborted";
  default:
    return "failed";
  }
}

void uj_result_push(lua_State *L, PGresult *result)
{
  const char *status = status_of(result);
  const char *changes = PQcmdTuples(result);
  lua_createtable(L, status[0] == 'r' ? PQntuples(result) : 0, 4);
  set_string(L, "status", status);
  set_string(L, "command", PQcmdStatus(result));
  if (strcmp(status, "rows") == 0)
    set_rows(L, result);
  if (changes[0] != '\0') {
    lua_pushinteger(L, (lua_Integer)strtoll(changes, NULL, 10));
    lua_setfield(L, -2, "changes");
  }
  if (strcmp(status, "failed") == 0) {
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    set_string(L, "state", PQresultErrorField(result, PG_DIAG_SQLSTATE));
    set_string(L, "message",
               message == NULL ? PQresultErrorMessage(result) : message);
  }
}

/* ---- parameters ---------------------------------------------------------- */

/* [-0, +1, m] */
static void push_float(lua_State *L, lua_Number value)
{
  char text[40];
  if (value != value)
    lua_pushliteral(L, "NaN");
  else if (value - value != 0)
    lua_pushstring(L, value > 0 ? "Infinity" : "-Infinity");
  else {
    snprintf(text, sizeof(text), "%.17g", value);
    lua_pushstring(L, text);
  }
}

/* [-0, +1, m] Pushes a value that is no table as text. */
static void push_text(lua_State *L, int idx)
{
  size_t size;
  const char *text;
  switch (lua_type(L, idx)) {
  case LUA_TBOOLEAN:
    lua_pushstring(L, lua_toboolean(L, idx) ? "t" : "f");
    return;
  case LUA_TNUMBER:
    if (lua_isinteger(L, idx))
      lua_pushfstring(L, "%I", (LUAI_UACINT)lua_tointeger(L, idx));
    else
      push_float(L, lua_tonumber(L, idx));
    return;
  case LUA_TSTRING:
    text = lua_tolstring(L, idx, &size);
    if (memchr(text, '\0', size) != NULL)
      luaL_error(L, "a text for PostgreSQL cannot have a byte 0");
    lua_pushvalue(L, idx);
    return;
  default:
    luaL_error(L, "%s for PostgreSQL", luaL_typename(L, idx));
  }
}

/* [-0, +0, m] Adds a text in quotes. */
static void add_quoted(luaL_Buffer *buffer, const char *text, size_t size)
{
  luaL_addchar(buffer, '"');
  for (size_t i = 0; i < size; i++) {
    if (text[i] == '"' || text[i] == '\\')
      luaL_addchar(buffer, '\\');
    luaL_addchar(buffer, text[i]);
  }
  luaL_addchar(buffer, '"');
}

/* Stack: ..., the list of texts of the elements (false for NULL). */
static void join_array(lua_State *L, lua_Integer n)
{
  int list = lua_gettop(L);
  luaL_Buffer buffer;
  luaL_buffinit(L, &buffer);
  luaL_addchar(&buffer, '{');
  for (lua_Integer i = 1; i <= n; i++) {
    size_t size;
    const char *text;
    if (i > 1)
      luaL_addchar(&buffer, ',');
    lua_rawgeti(L, list, i);
    text = lua_tolstring(L, -1, &size);
    lua_pop(L, 1); /* the list still has it */
    if (text == NULL)
      luaL_addstring(&buffer, "NULL");
    else
      add_quoted(&buffer, text, size);
  }
  luaL_addchar(&buffer, '}');
  luaL_pushresult(&buffer);
  lua_remove(L, list);
}

/* [-0, +1, m] */
static void push_array(lua_State *L, int idx)
{
  lua_Integer n;
  lua_getfield(L, idx, "n");
  n = luaL_checkinteger(L, -1);
  lua_pop(L, 1);
  lua_newtable(L);
  for (lua_Integer i = 1; i <= n; i++) {
    if (lua_rawgeti(L, idx, i) == LUA_TNIL) {
      lua_pop(L, 1);
      lua_pushboolean(L, 0);
    } else {
      push_text(L, lua_gettop(L));
      lua_remove(L, -2);
    }
    lua_rawseti(L, -2, i);
  }
  join_array(L, n);
}

void uj_parameter_push(lua_State *L, int idx)
{
  idx = lua_absindex(L, idx);
  luaL_checkstack(L, 8, "parameters");
  if (lua_isnoneornil(L, idx))
    lua_pushnil(L);
  else if (lua_istable(L, idx))
    push_array(L, idx);
  else
    push_text(L, idx);
}
