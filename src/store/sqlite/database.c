#include "store/sqlite/database.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <string.h>

#define DATABASE_TYPE "uvjobs.sqlite.Database"
#define STATEMENT_TYPE "uvjobs.sqlite.Statement"

struct database {
  sqlite3 *db; /* NULL when closed */
  int wal_pages;
  int busy_ms; /* how long a lock of others is waited for */
};

/* Its user value is the database, which so outlives it. */
struct statement {
  sqlite3_stmt *stmt; /* NULL when finalized */
};

/* ---- errors -------------------------------------------------------------- */

static const char *code_of(int result)
{
  switch (result & 0xFF) {
  case SQLITE_BUSY:
  case SQLITE_LOCKED:
  case SQLITE_FULL:
  case SQLITE_IOERR:
  case SQLITE_CANTOPEN:
  case SQLITE_NOMEM:
  case SQLITE_READONLY:
  case SQLITE_PROTOCOL:
  case SQLITE_INTERRUPT:
    return "unavailable";
  case SQLITE_CORRUPT:
  case SQLITE_NOTADB:
    return "corrupt";
  default:
    return "sql";
  }
}

/* [-0, +1, m] Where the system has refused something, its reason is part of
 * the message: "disk I/O error" may be a full disk. */
static void push_message(lua_State *L, sqlite3 *db, int result)
{
  const char *message =
      db == NULL ? sqlite3_errstr(result) : sqlite3_errmsg(db);
  int primary = result & 0xFF, error = 0;
  if (db != NULL && (primary == SQLITE_IOERR || primary == SQLITE_CANTOPEN))
    error = sqlite3_system_errno(db);
  if (error == 0)
    lua_pushstring(L, message);
  else
    lua_pushfstring(L, "%s (%s)", message, strerror(error));
}

static int raise(lua_State *L, sqlite3 *db, int result)
{
  lua_createtable(L, 0, 4);
  lua_pushstring(L, code_of(result));
  lua_setfield(L, -2, "code");
  push_message(L, db, result);
  lua_setfield(L, -2, "message");
  lua_pushboolean(L, (result & 0xFF) == SQLITE_READONLY);
  lua_setfield(L, -2, "is_read_only");
  lua_pushinteger(L, result);
  lua_setfield(L, -2, "result");
  return lua_error(L);
}

static struct database *check_database(lua_State *L)
{
  struct database *self = luaL_checkudata(L, 1, DATABASE_TYPE);
  if (self->db == NULL)
    luaL_error(L, "the database is closed");
  return self;
}

static sqlite3_stmt *check_statement(lua_State *L)
{
  struct statement *self = luaL_checkudata(L, 1, STATEMENT_TYPE);
  if (self->stmt == NULL)
    luaL_error(L, "the statement is closed");
  return self->stmt;
}

static int raise_of(lua_State *L, sqlite3_stmt *stmt, int result)
{
  sqlite3 *db = sqlite3_db_handle(stmt);
  (void)sqlite3_reset(stmt); /* the message stays */
  return raise(L, db, result);
}

/* ---- values -------------------------------------------------------------- */

static int bind_one(lua_State *L, sqlite3_stmt *stmt, int place, int idx)
{
  size_t size;
  const char *text;
  switch (lua_type(L, idx)) {
  case LUA_TNONE:
  case LUA_TNIL:
    return sqlite3_bind_null(stmt, place);
  case LUA_TBOOLEAN:
    return sqlite3_bind_int(stmt, place, lua_toboolean(L, idx));
  case LUA_TNUMBER:
    if (lua_isinteger(L, idx))
      return sqlite3_bind_int64(stmt, place, lua_tointeger(L, idx));
    return sqlite3_bind_double(stmt, place, lua_tonumber(L, idx));
  default:
    text = luaL_checklstring(L, idx, &size);
    return sqlite3_bind_text64(stmt, place, text, size, SQLITE_TRANSIENT,
                               SQLITE_UTF8);
  }
}

/* [-0, +0, v] Binds the arguments from index 2 on. */
static void bind(lua_State *L, sqlite3_stmt *stmt)
{
  int n = lua_gettop(L) - 1, wanted = sqlite3_bind_parameter_count(stmt);
  (void)sqlite3_reset(stmt);
  if (n > wanted)
    luaL_error(L, "%d parameters for a statement with %d", n, wanted);
  for (int i = 1; i <= wanted; i++) {
    int result = bind_one(L, stmt, i, i + 1);
    if (result != SQLITE_OK)
      raise_of(L, stmt, result);
  }
}

/* [-0, +1, m] */
static void push_column(lua_State *L, sqlite3_stmt *stmt, int i)
{
  switch (sqlite3_column_type(stmt, i)) {
  case SQLITE_INTEGER:
    lua_pushinteger(L, sqlite3_column_int64(stmt, i));
    break;
  case SQLITE_FLOAT:
    lua_pushnumber(L, sqlite3_column_double(stmt, i));
    break;
  case SQLITE_NULL:
    lua_pushnil(L);
    break;
  default: {
    const char *bytes = sqlite3_column_blob(stmt, i);
    lua_pushlstring(L, bytes == NULL ? "" : bytes,
                    (size_t)sqlite3_column_bytes(stmt, i));
  }
  }
}

/* [-0, +n, m] Pushes the columns of the row; returns how many. */
static int push_row(lua_State *L, sqlite3_stmt *stmt)
{
  int n = sqlite3_column_count(stmt);
  luaL_checkstack(L, n, "too many columns");
  for (int i = 0; i < n; i++)
    push_column(L, stmt, i);
  return n;
}

/* Whether there is a row. */
static bool step(lua_State *L, sqlite3_stmt *stmt)
{
  int result = sqlite3_step(stmt);
  if (result != SQLITE_ROW && result != SQLITE_DONE)
    raise_of(L, stmt, result);
  return result == SQLITE_ROW;
}

/* ---- statements ---------------------------------------------------------- */

static int statement_run(lua_State *L)
{
  sqlite3_stmt *stmt = check_statement(L);
  bind(L, stmt);
  while (step(L, stmt))
    ;
  (void)sqlite3_reset(stmt);
  lua_pushinteger(L, sqlite3_changes(sqlite3_db_handle(stmt)));
  return 1;
}

static int statement_first(lua_State *L)
{
  sqlite3_stmt *stmt = check_statement(L);
  int n = 0;
  bind(L, stmt);
  if (step(L, stmt))
    n = push_row(L, stmt);
  (void)sqlite3_reset(stmt);
  return n;
}

static int statement_bind(lua_State *L)
{
  bind(L, check_statement(L));
  return 0;
}

static int statement_step(lua_State *L)
{
  sqlite3_stmt *stmt = check_statement(L);
  return step(L, stmt) ? push_row(L, stmt) : 0;
}

static int statement_reset(lua_State *L)
{
  (void)sqlite3_reset(check_statement(L));
  return 0;
}

/* [-0, +0, m] Sets the field `names` of the table on the top. */
static void set_names(lua_State *L, sqlite3_stmt *stmt)
{
  int n = sqlite3_column_count(stmt);
  lua_createtable(L, n, 0);
  for (int i = 0; i < n; i++) {
    lua_pushstring(L, sqlite3_column_name(stmt, i));
    lua_rawseti(L, -2, i + 1);
  }
  lua_setfield(L, -2, "names");
}

static int statement_rows(lua_State *L)
{
  sqlite3_stmt *stmt = check_statement(L);
  lua_Integer count = 0;
  bind(L, stmt);
  lua_newtable(L);
  set_names(L, stmt);
  while (step(L, stmt)) {
    int n = sqlite3_column_count(stmt);
    lua_createtable(L, n, 0);
    for (int i = 0; i < n; i++) {
      push_column(L, stmt, i);
      lua_rawseti(L, -2, i + 1);
    }
    lua_rawseti(L, -2, ++count);
  }
  (void)sqlite3_reset(stmt);
  return 1;
}

static int statement_gc(lua_State *L)
{
  struct statement *self = luaL_checkudata(L, 1, STATEMENT_TYPE);
  sqlite3_finalize(self->stmt);
  self->stmt = NULL;
  return 0;
}

/* ---- databases ----------------------------------------------------------- */

static int note_wal(void *arg, sqlite3 *db, const char *name, int pages)
{
  struct database *self = arg;
  (void)db;
  (void)name;
  self->wal_pages = pages;
  return SQLITE_OK;
}

/* (path, busy_ms) */
static int l_open(lua_State *L)
{
  const char *path = luaL_checkstring(L, 1);
  int busy_ms = (int)luaL_checkinteger(L, 2);
  struct database *self = lua_newuserdatauv(L, sizeof(*self), 0);
  int result;
  *self = (struct database){0};
  luaL_setmetatable(L, DATABASE_TYPE);
  result = sqlite3_open_v2(
      path, &self->db,
      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
  if (result != SQLITE_OK)
    return raise(L, self->db, result);
  (void)sqlite3_extended_result_codes(self->db, 1);
  self->busy_ms = busy_ms;
  (void)sqlite3_busy_timeout(self->db, busy_ms);
  return 1;
}

static int database_exec(lua_State *L)
{
  struct database *self = check_database(L);
  const char *sql = luaL_checkstring(L, 2);
  int result = sqlite3_exec(self->db, sql, NULL, NULL, NULL);
  return result == SQLITE_OK ? 0 : raise(L, self->db, result);
}

/* Only one statement is allowed: what follows it would be ignored. */
static int database_prepare(lua_State *L)
{
  struct database *self = check_database(L);
  size_t size;
  const char *sql = luaL_checklstring(L, 2, &size), *rest;
  struct statement *statement = lua_newuserdatauv(L, sizeof(*statement), 1);
  int result;
  statement->stmt = NULL;
  luaL_setmetatable(L, STATEMENT_TYPE);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  result =
      sqlite3_prepare_v3(self->db, sql, (int)size + 1,
                         SQLITE_PREPARE_PERSISTENT, &statement->stmt, &rest);
  if (result != SQLITE_OK)
    return raise(L, self->db, result);
  if (statement->stmt == NULL || rest[strspn(rest, " \t\r\n;")] != '\0') {
    lua_createtable(L, 0, 2);
    lua_pushliteral(L, "sql");
    lua_setfield(L, -2, "code");
    lua_pushliteral(L, "one statement of SQL expected");
    lua_setfield(L, -2, "message");
    return lua_error(L);
  }
  return 1;
}

/* Whether the file could be opened for reading only. */
static int database_is_read_only(lua_State *L)
{
  lua_pushboolean(L, sqlite3_db_readonly(check_database(L)->db, "main") == 1);
  return 1;
}

static int database_changes(lua_State *L)
{
  lua_pushinteger(L, sqlite3_changes(check_database(L)->db));
  return 1;
}

static int database_last_id(lua_State *L)
{
  lua_pushinteger(L, sqlite3_last_insert_rowid(check_database(L)->db));
  return 1;
}

/* PRAGMA wal_autocheckpoint takes the hook away. */
static int database_watch_wal(lua_State *L)
{
  struct database *self = check_database(L);
  (void)sqlite3_wal_hook(self->db, note_wal, self);
  return 0;
}

static int database_wal_pages(lua_State *L)
{
  lua_pushinteger(L, check_database(L)->wal_pages);
  return 1;
}

static int database_in_transaction(lua_State *L)
{
  lua_pushboolean(L, !sqlite3_get_autocommit(check_database(L)->db));
  return 1;
}

/* It waits for nobody: readers can hold the WAL for hours. */
static int database_checkpoint(lua_State *L)
{
  static const char *const names[] = {"passive", "truncate", NULL};
  static const int modes[] = {SQLITE_CHECKPOINT_PASSIVE,
                              SQLITE_CHECKPOINT_TRUNCATE};
  struct database *self = check_database(L);
  int mode = modes[luaL_checkoption(L, 2, NULL, names)], pages = 0, done = 0;
  int result;
  (void)sqlite3_busy_timeout(self->db, 0);
  result = sqlite3_wal_checkpoint_v2(self->db, NULL, mode, &pages, &done);
  (void)sqlite3_busy_timeout(self->db, self->busy_ms);
  if (result != SQLITE_OK && (result & 0xFF) != SQLITE_BUSY)
    return raise(L, self->db, result);
  if (result == SQLITE_OK && pages >= 0)
    self->wal_pages = pages == done ? 0 : pages;
  lua_pushboolean(L, result == SQLITE_OK && pages == done);
  lua_pushinteger(L, pages);
  return 2;
}

static int database_close(lua_State *L)
{
  struct database *self = luaL_checkudata(L, 1, DATABASE_TYPE);
  sqlite3_stmt *stmt;
  if (self->db == NULL)
    return 0;
  for (stmt = sqlite3_next_stmt(self->db, NULL); stmt != NULL;
       stmt = sqlite3_next_stmt(self->db, stmt))
    (void)sqlite3_reset(stmt);
  (void)sqlite3_close_v2(
      self->db); /* at the last statement, if there are any */
  self->db = NULL;
  return 0;
}

/* [-0, +0, m] */
static void register_type(lua_State *L, const char *name,
                          const luaL_Reg *methods, lua_CFunction gc)
{
  luaL_newmetatable(L, name);
  lua_newtable(L);
  luaL_setfuncs(L, methods, 0);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, gc);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
}

void uj_database_register(lua_State *L)
{
  static const luaL_Reg of_database[] = {
      {"exec", database_exec},
      {"prepare", database_prepare},
      {"changes", database_changes},
      {"last_id", database_last_id},
      {"wal_pages", database_wal_pages},
      {"watch_wal", database_watch_wal},
      {"in_transaction", database_in_transaction},
      {"is_read_only", database_is_read_only},
      {"checkpoint", database_checkpoint},
      {"close", database_close},
      {NULL, NULL}};
  static const luaL_Reg of_statement[] = {
      {"run", statement_run},     {"first", statement_first},
      {"bind", statement_bind},   {"step", statement_step},
      {"reset", statement_reset}, {"rows", statement_rows},
      {"close", statement_gc},    {NULL, NULL}};
  register_type(L, DATABASE_TYPE, of_database, database_close);
  register_type(L, STATEMENT_TYPE, of_statement, statement_gc);
}

const luaL_Reg uj_database_functions[] = {{"open", l_open}, {NULL, NULL}};
