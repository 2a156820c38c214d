#include "lua/measure/trace.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/turn.h"
#include "loop/driver.h"
#include "lua/base/text.h"
#include "lua/measure/series.h"

/* Jobs are counted so often at most. Counting those that are ready takes some
 * nanoseconds for each, and must not take a tenth of the time. */
#define COUNT_NS UINT64_C(1000000)
#define COUNT_JOB_NS UINT64_C(100)

/* So often events are written while there is always something to do, and when
 * the loop goes to sleep; and always when it sleeps for longer. */
#define FLUSH_BUSY_NS UINT64_C(100000000)
#define FLUSH_IDLE_NS UINT64_C(5000000)

/* ---- names --------------------------------------------------------------- */

/* (state, job): the name of the job, or nil. */
static int push_name(lua_State *L)
{
  struct uj_state *S = lua_touserdata(L, 1);
  uj_ljob_push(S, L, lua_touserdata(L, 2));
  uj_ljob_push_name(L, 3);
  return 1;
}

/* [-0, +0, -] The number of the job's own name. Returns false for none. */
static bool find_own_name(struct uj_state *S, struct uj_ljob *job,
                          uint32_t *number)
{
  lua_State *L = S->L != NULL ? S->L : S->hub;
  size_t length;
  const char *name;
  if ((!job->has_extra && !job->is_child) || !lua_checkstack(L, LUA_MINSTACK))
    return false;
  lua_pushcfunction(L, push_name);
  lua_pushlightuserdata(L, S);
  lua_pushlightuserdata(L, job);
  if (lua_pcall(L, 2, 1, 0) != LUA_OK || lua_type(L, -1) != LUA_TSTRING) {
    lua_pop(L, 1);
    return false;
  }
  name = lua_tolstring(L, -1, &length);
  *number = uj_chrome_name(&S->meter->trace->chrome, name, length);
  lua_pop(L, 1);
  return true;
}

/* The number of the name of the job's scheduler. */
static uint32_t find_sched_name(struct uj_state *S, struct uj_ljob *job)
{
  const struct uj_series *series;
  if (uj_lsched_of(job->core.sched)->series == NULL)
    uj_series_attach(S, job);
  series = uj_lsched_of(job->core.sched)->series;
  if (series == NULL || series->name == NULL)
    return 0;
  return uj_chrome_name(&S->meter->trace->chrome, series->name,
                        series->name_size - 1);
}

/* Looking a name up takes longer than all the rest, so the record of a job
 * keeps its number. The numbers are those of one trace. */
static uint32_t name_of(struct uj_state *S, struct uj_ljob *job)
{
  struct uj_times *times = job->core.timed ? uj_times_of(job) : NULL;
  uint32_t generation = S->meter->trace->generation, number;
  if (times != NULL && times->name >> 16 == generation)
    return times->name & 0xffff;
  if (!find_own_name(S, job, &number))
    number = find_sched_name(S, job);
  if (times != NULL)
    times->name = generation << 16 | number;
  return number;
}

/* ---- events -------------------------------------------------------------- */

/* Nothing is written any more: the file has reached its limit, which is what
 * was asked for, or there was an error. */
UJ_SELDOM static void give_up(struct uj_state *S)
{
  const struct uj_chrome *chrome = &S->meter->trace->chrome;
  if (chrome->error != 0)
    uj_text_write_error("uvjobs: the trace ends here, since its file cannot be "
                        "written: %s\n",
                        strerror(chrome->error));
  uj_trace_stop(S);
}

static void look(struct uj_state *S)
{
  if (S->meter->trace->chrome.fd < 0)
    give_up(S);
}

/* When a job was spawned that has not run yet. */
static uint64_t birth_of(const struct uj_times *times)
{
  return times->since_ns - times->spent_ns[UJ_PHASE_WAITS] -
         times->spent_ns[UJ_PHASE_READY];
}

static void add_birth(struct uj_state *S, struct uj_ljob *job,
                      const struct uj_times *times)
{
  uj_chrome_begin_job(&S->meter->trace->chrome, name_of(S, job), job->core.id,
                      job->parent, birth_of(times));
}

void uj_trace_resume(struct uj_state *S, struct uj_ljob *job,
                     struct uj_times *times, uint64_t now_ns)
{
  struct uj_chrome *chrome = &S->meter->trace->chrome;
  if (times == NULL && job->resumes == 0)
    uj_chrome_begin_job(chrome, name_of(S, job), job->core.id, job->parent,
                        now_ns);
  if (times == NULL)
    return;
  if (job->resumes == 0) {
    add_birth(S, job, times);
    if (job->parent != 0 && birth_of(times) >= chrome->begin_ns)
      uj_chrome_arrow(chrome, "spawn", birth_of(times), now_ns);
  } else if (times->waker != UJ_WAKER_NONE &&
             times->since_ns > chrome->begin_ns)
    uj_chrome_arrow(chrome, "wake",
                    times->since_ns - (times->waker == UJ_WAKER_ENDED), now_ns);
}

static void count(struct uj_state *S, uint64_t now_ns)
{
  struct uj_trace *trace = S->meter->trace;
  uint64_t ready = uj_loop_count_ready(&S->loop);
  uj_chrome_count(&trace->chrome, ready, uj_slots_used(&S->jobs), now_ns);
  trace->next_count_ns = now_ns + uj_clock_max(COUNT_NS, ready * COUNT_JOB_NS);
}

void uj_trace_suspend(struct uj_state *S, struct uj_ljob *job,
                      uint64_t begin_ns, uint64_t end_ns)
{
  struct uj_trace *trace = S->meter->trace;
  uj_chrome_slice(&trace->chrome, name_of(S, job), job->core.id, begin_ns,
                  end_ns);
  if (end_ns >= trace->next_count_ns)
    count(S, end_ns);
  look(S);
}

void uj_trace_ended(struct uj_state *S, struct uj_ljob *job, uint64_t now_ns)
{
  static const char *const states[UJ_SCHED_ENDS] = {"done", "failed",
                                                    "cancelled", "killed"};
  if (!job->core.started && job->core.timed)
    add_birth(S, job, uj_times_of(job));
  uj_chrome_end_job(&S->meter->trace->chrome, name_of(S, job), job->core.id,
                    states[job->core.state - UJ_JOB_DONE], now_ns);
  look(S);
}

void uj_trace_poll(struct uj_state *S, uint64_t now_ns)
{
  struct uj_trace *trace = S->meter->trace;
  bool is_idle = !uj_loop_ready(&S->loop);
  uint64_t passed_ns = now_ns - trace->flushed_ns;
  bool sleeps = is_idle && (S->is_virtual ||
                            uj_loop_due(&S->loop) > now_ns + FLUSH_IDLE_NS);
  if (!sleeps && passed_ns < (is_idle ? FLUSH_IDLE_NS : FLUSH_BUSY_NS))
    return;
  trace->flushed_ns = now_ns;
  uj_chrome_flush(&trace->chrome);
  look(S);
}

/* ---- beginning and end --------------------------------------------------- */

/* What lives already begins with the trace. */
static void add_living(struct uj_state *S, uint64_t now_ns)
{
  for (uint32_t slot = 1; slot < S->jobs.next; slot++) {
    struct uj_ljob *job = uj_ljob_live(S, slot);
    if (job != NULL && job->core.started)
      uj_chrome_begin_job(&S->meter->trace->chrome, name_of(S, job),
                          job->core.id, job->parent, now_ns);
  }
  count(S, now_ns);
}

int uj_trace_start(struct uj_state *S, const char *path, uint64_t limit)
{
  struct uj_trace *trace = malloc(sizeof(*trace));
  uint64_t now_ns = uj_meter_read(S);
  int error;
  if (trace == NULL)
    return ENOMEM;
  error = uj_chrome_open(&trace->chrome, path, limit, now_ns);
  if (error != 0) {
    free(trace);
    return error;
  }
  trace->flushed_ns = uj_driver_now();
  trace->generation = ++S->meter->ntraces;
  S->meter->trace = trace;
  add_living(S, now_ns);
  uj_chrome_flush(&trace->chrome);
  return 0;
}

void uj_trace_stop(struct uj_state *S)
{
  struct uj_trace *trace = S->meter->trace;
  if (trace == NULL)
    return;
  uj_chrome_close(&trace->chrome);
  S->meter->traced_events = trace->chrome.events;
  S->meter->traced_bytes = uj_chrome_size(&trace->chrome);
  S->meter->trace_error = trace->chrome.error;
  S->meter->trace_full = trace->chrome.full;
  S->meter->trace = NULL;
  free(trace);
}
