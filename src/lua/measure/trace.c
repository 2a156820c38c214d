#include "lua/measure/trace.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/turn.h"
#include "loop/driver.h"
#include "lua/base/text.h"
#include "lua/measure/series.h"
#include "lua/state/unseen.h"

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
  *number = uj_chrome_name(&S->meter->trace->tape->chrome, name, length);
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
  return uj_chrome_name(&S->meter->trace->tape->chrome, series->name,
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

static void look(struct uj_state *S)
{
  if (uj_tape_is_over(S->meter->trace->tape))
    uj_trace_stop(S);
}

/* When a job was spawned that has not run yet. */
static uint64_t birth_of(const struct uj_times *times)
{
  return times->since_ns - times->spent_ns[UJ_PHASE_WAITS] -
         times->spent_ns[UJ_PHASE_READY];
}

static void add(struct uj_state *S, struct uj_tape_event event)
{
  uj_tape_add(S->meter->trace->tape, event);
}

static void add_birth(struct uj_state *S, struct uj_ljob *job, uint64_t at_ns)
{
  add(S, (struct uj_tape_event){.kind = UJ_TAPE_BEGIN,
                                .name = name_of(S, job),
                                .id = job->core.id,
                                .other = job->parent,
                                .at_ns = at_ns});
}

void uj_trace_resume(struct uj_state *S, struct uj_ljob *job,
                     struct uj_times *times, uint64_t now_ns)
{
  struct uj_trace *trace = S->meter->trace;
  trace->arrow = UJ_TAPE_NO_ARROW;
  if (job->resumes == 0)
    add_birth(S, job, times != NULL ? birth_of(times) : now_ns);
  if (times == NULL)
    return;
  if (job->resumes == 0) {
    trace->from_ns = birth_of(times);
    if (job->parent != 0 && trace->from_ns >= trace->begin_ns)
      trace->arrow = UJ_TAPE_SPAWN;
  } else if (times->waker != UJ_WAKER_NONE &&
             times->since_ns > trace->begin_ns) {
    trace->from_ns = times->since_ns - (times->waker == UJ_WAKER_ENDED);
    trace->arrow = UJ_TAPE_WAKE;
  }
}

static void count(struct uj_state *S, uint64_t now_ns)
{
  struct uj_trace *trace = S->meter->trace;
  uint64_t ready = uj_loop_count_ready(&S->loop);
  add(S, (struct uj_tape_event){.kind = UJ_TAPE_COUNT,
                                .id = ready,
                                .other = uj_unseen_count_jobs(S),
                                .at_ns = now_ns});
  trace->next_count_ns = now_ns + uj_clock_max(COUNT_NS, ready * COUNT_JOB_NS);
}

void uj_trace_suspend(struct uj_state *S, struct uj_ljob *job,
                      uint64_t begin_ns, uint64_t end_ns)
{
  struct uj_trace *trace = S->meter->trace;
  add(S, (struct uj_tape_event){.kind = UJ_TAPE_SLICE,
                                .arrow = trace->arrow,
                                .name = name_of(S, job),
                                .id = job->core.id,
                                .from_ns = trace->from_ns,
                                .other = begin_ns,
                                .at_ns = end_ns});
  trace->arrow = UJ_TAPE_NO_ARROW;
  if (end_ns >= trace->next_count_ns)
    count(S, end_ns);
  look(S);
}

void uj_trace_ended(struct uj_state *S, struct uj_ljob *job, uint64_t now_ns)
{
  if (!job->core.started && job->core.timed)
    add_birth(S, job, birth_of(uj_times_of(job)));
  add(S,
      (struct uj_tape_event){.kind = UJ_TAPE_END,
                             .state = (uint8_t)(job->core.state - UJ_JOB_DONE),
                             .name = name_of(S, job),
                             .id = job->core.id,
                             .at_ns = now_ns});
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
  uj_tape_wake(trace->tape);
  look(S);
}

/* ---- beginning and end --------------------------------------------------- */

/* What lives already begins with the trace. */
static void add_living(struct uj_state *S, uint64_t now_ns)
{
  for (uint32_t slot = 1; slot < S->jobs.next; slot++) {
    struct uj_ljob *job = uj_ljob_live(S, slot);
    if (job != NULL && job->core.started)
      add_birth(S, job, now_ns);
  }
  count(S, now_ns);
}

int uj_trace_start(struct uj_state *S, const char *path, uint64_t limit)
{
  struct uj_trace *trace = calloc(1, sizeof(*trace));
  uint64_t now_ns = uj_meter_read(S);
  if (trace == NULL)
    return ENOMEM;
  trace->tape = uj_tape_open(path, limit, now_ns);
  if (trace->tape == NULL) {
    int error = errno;
    free(trace);
    return error;
  }
  trace->begin_ns = now_ns;
  trace->flushed_ns = uj_driver_now();
  trace->generation = ++S->meter->ntraces;
  S->meter->trace = trace;
  add_living(S, now_ns);
  uj_tape_wake(trace->tape);
  return 0;
}

void uj_trace_sync(struct uj_state *S)
{
  if (S->meter->trace == NULL)
    return;
  uj_tape_sync(S->meter->trace->tape);
  look(S);
}

static void note_end(struct uj_meter *meter, const struct uj_chrome *chrome)
{
  meter->traced_events = chrome->events;
  meter->traced_bytes = uj_chrome_size(chrome);
  meter->trace_error = chrome->error;
  meter->trace_full = chrome->full;
}

/* It also ends when the file has reached its limit, which is what was asked
 * for, or when there was an error. */
void uj_trace_stop(struct uj_state *S)
{
  struct uj_trace *trace = S->meter->trace;
  if (trace == NULL)
    return;
  S->meter->trace = NULL;
  uj_tape_close(trace->tape);
  note_end(S->meter, &trace->tape->chrome);
  uj_tape_free(trace->tape);
  free(trace);
  if (S->meter->trace_error != 0)
    uj_text_write_error("uvjobs: the trace ends here, since its file cannot be "
                        "written: %s\n",
                        strerror(S->meter->trace_error));
}
