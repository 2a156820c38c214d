/* What PostgreSQL can do at best: durable_floor N prints how many tasks a
 * second a program takes and deletes by plain libpq, 200 at once, with the
 * fewest columns that a queue can have; durable_floor N wal, how many bytes of
 * its log a task costs from its insertion on. UVJOBS_POSTGRES names the
 * server. */
#include <libpq-fe.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static PGconn *conn;

static PGresult *ask(PGresult *result, ExecStatusType wanted)
{
  if (PQresultStatus(result) == wanted)
    return result;
  fputs(PQerrorMessage(conn), stderr);
  exit(1);
}

static void run(const char *sql)
{
  PQclear(ask(PQexec(conn, sql), PGRES_COMMAND_OK));
}

static double now(void)
{
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void prepare(const char *name, const char *sql)
{
  PQclear(ask(PQprepare(conn, name, sql, 0, NULL), PGRES_COMMAND_OK));
}

/* How much has been written to the log. */
static double position(void)
{
  PGresult *result =
      ask(PQexec(conn, "SELECT pg_current_wal_lsn() - '0/0'::pg_lsn"),
          PGRES_TUPLES_OK);
  double bytes = atof(PQgetvalue(result, 0, 0));
  PQclear(result);
  return bytes;
}

static void make_table(void)
{
  run("SET client_min_messages = error");
  run("DROP TABLE IF EXISTS floor_task");
  run("CREATE TABLE floor_task (id bigserial PRIMARY KEY, state smallint NOT "
      "NULL, priority smallint NOT NULL, due bigint NOT NULL, lease bigint NOT "
      "NULL DEFAULT 0, args text NOT NULL) WITH (fillfactor = 70)");
  run("CREATE INDEX ON floor_task (priority, due, id) WHERE state = 1");
}

static void fill_table(const char *n)
{
  const char *values[] = {n};
  PQclear(ask(PQexecParams(conn,
                           "INSERT INTO floor_task (state, priority, due, "
                           "args) SELECT 1, 5, i, i::text FROM "
                           "generate_series(1, $1::bigint) i",
                           1, NULL, values, NULL, NULL, 0),
              PGRES_COMMAND_OK));
}

static void prepare_all(void)
{
  prepare(
      "claim",
      "WITH picked AS MATERIALIZED (SELECT id FROM floor_task WHERE state "
      "= 1 ORDER BY priority, due, id LIMIT 200 FOR UPDATE SKIP LOCKED) "
      "UPDATE floor_task t SET state = 2, lease = lease + 1 WHERE t.id = ANY "
      "(ARRAY(SELECT id FROM picked)) RETURNING t.id, t.lease, t.args");
  prepare(
      "finish",
      "DELETE FROM floor_task t WHERE t.id = ANY ($1::bigint[]) AND ((t.id, "
      "t.lease) IN (SELECT * FROM unnest($1::bigint[], $2::bigint[]))) IS "
      "TRUE");
}

/* A list of values of a column, as PostgreSQL writes it. */
static char *list_of(const PGresult *result, int column)
{
  int n = PQntuples(result), at = 1;
  char *text = malloc((size_t)n * 21 + 3);
  if (text == NULL)
    exit(1);
  text[0] = '{';
  for (int i = 0; i < n; i++)
    at += sprintf(text + at, i == 0 ? "%s" : ",%s",
                  PQgetvalue(result, i, column));
  text[at] = '}';
  text[at + 1] = '\0';
  return text;
}

/* Returns how many there were. */
static int turn(void)
{
  PGresult *claimed = ask(PQexecPrepared(conn, "claim", 0, NULL, NULL, NULL, 0),
                          PGRES_TUPLES_OK);
  int n = PQntuples(claimed);
  char *ids = list_of(claimed, 0), *leases = list_of(claimed, 1);
  const char *values[] = {ids, leases};
  if (n > 0)
    PQclear(ask(PQexecPrepared(conn, "finish", 2, values, NULL, NULL, 0),
                PGRES_COMMAND_OK));
  PQclear(claimed);
  free(ids);
  free(leases);
  return n;
}

int main(int argc, char **argv)
{
  int left = argc >= 2 ? atoi(argv[1]) : 0, n;
  bool is_wal = argc == 3 && strcmp(argv[2], "wal") == 0;
  double start, bytes;
  conn = PQconnectdb(getenv("UVJOBS_POSTGRES"));
  if (left <= 0 || PQstatus(conn) != CONNECTION_OK)
    return 2;
  make_table();
  if (is_wal)
    run("CHECKPOINT");
  bytes = position();
  fill_table(argv[1]);
  if (!is_wal)
    run("ANALYZE floor_task");
  prepare_all();
  start = now();
  while ((n = turn()) > 0)
    left -= n;
  if (left != 0)
    return 1;
  if (is_wal)
    printf("%.1f\n", (position() - bytes) / atoi(argv[1]));
  else
    printf("%.1f\n", atoi(argv[1]) / (now() - start));
  run("DROP TABLE floor_task");
  PQfinish(conn);
  return 0;
}
