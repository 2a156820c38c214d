#include "lua/measure/times.h"

#include <errno.h>
#include <string.h>

#include "core/turn.h"
#include "lua/base/seconds.h"
#include "lua/measure/series.h"
#include "lua/measure/trace.h"
#include "lua/state/sched.h"

/* ---- what becomes of a job ----------------------------------------------- */

/* Ends the present phase; the record says which it was. */
static inline void end_phase(struct uj_times *times, uint64_t now_ns)
{
  if (now_ns <= times->since_ns)
    return;
  times->spent_ns[times->phase] += now_ns - times->since_ns;
  times->since_ns = now_ns;
}

/* When the time came for which the job was woken; or UJ_NEVER. Such a job is
 * ready from then on, however late the loop has noticed it. A time that is from
 * before the wait, or still to come, is not the reason why it was woken. */
static uint64_t due(const struct uj_job *core, const struct uj_times *times,
                    uint64_t now_ns)
{
  bool by_timer = core->wake == UJ_WAKE_TIMEOUT ||
                  core->wake == UJ_WAKE_DEADLINE ||
                  core->wake == UJ_WAKE_KILLED;
  uint64_t due_ns = core->timer.due_ns;
  return by_timer && core->started && due_ns >= times->since_ns &&
                 due_ns <= now_ns
             ? due_ns
             : UJ_NEVER;
}

static uint8_t waker(const struct uj_state *S, const struct uj_times *times)
{
  if (S->current != NULL)
    return UJ_WAKER_RUNS;
  return S->meter->fresh && !times->by_timer ? UJ_WAKER_ENDED : UJ_WAKER_NONE;
}

static void host_ready(struct uj_loop *loop, struct uj_job *core)
{
  struct uj_state *S = uj_state_of(loop);
  struct uj_times *times;
  uint64_t now_ns, due_ns;
  if (!core->timed)
    return;
  times = uj_times_of(uj_ljob_of(core));
  if (times->phase == UJ_PHASE_RUNS)
    return; /* the end of its stretch is noted anyway */
  now_ns = uj_meter_about(S);
  if (core->wake != UJ_WAKE_OK) {
    due_ns = due(core, times, now_ns);
    times->by_timer = due_ns != UJ_NEVER;
    now_ns = uj_clock_min(now_ns, due_ns);
  }
  end_phase(times, now_ns);
  times->phase = UJ_PHASE_READY;
  if (S->meter->exact)
    times->waker = waker(S, times);
}

/* What is counted of a job that is resumed for the first time, or by a time. It
 * has been ready for `ready_ns` now. */
static void count_resume(struct uj_ljob *job, uint64_t ready_ns)
{
  struct uj_series *series = uj_lsched_of(job->core.sched)->series;
  struct uj_times *times = uj_times_of(job);
  if (series != NULL && job->resumes == 0)
    uj_series_add(series, UJ_SERIES_WAITED,
                  times->spent_ns[UJ_PHASE_WAITS] + ready_ns);
  if (series != NULL && times->by_timer)
    uj_series_add(series, UJ_SERIES_LATE, ready_ns);
  times->by_timer = false;
}

/* The job is resumed. */
static inline void begin_stretch(struct uj_ljob *job, uint64_t now_ns)
{
  struct uj_times *times = uj_times_of(job);
  uint64_t before_ns = times->spent_ns[UJ_PHASE_READY];
  end_phase(times, now_ns);
  if (job->resumes == 0 || times->by_timer)
    count_resume(job, times->spent_ns[UJ_PHASE_READY] - before_ns);
  times->phase = UJ_PHASE_RUNS;
  times->waker = UJ_WAKER_NONE;
}

/* The job has suspended or ended. */
static inline void end_stretch(struct uj_ljob *job, uint64_t now_ns)
{
  struct uj_times *times = uj_times_of(job);
  end_phase(times, now_ns);
  times->phase =
      job->core.place == UJ_AT_READY ? UJ_PHASE_READY : UJ_PHASE_WAITS;
}

/* A trace may have ended by itself. */
static void leave_trace(struct uj_state *S)
{
  if (S->meter->trace == NULL)
    uj_times_use(S, UJ_METER_TRACE, false);
}

static void host_ended(struct uj_loop *loop, struct uj_job *core)
{
  struct uj_state *S = uj_state_of(loop);
  struct uj_ljob *job = uj_ljob_of(core);
  struct uj_series *series = uj_lsched_of(core->sched)->series;
  if (core->timed) {
    struct uj_times *times = uj_times_of(job);
    if (!core->started)
      end_phase(times, uj_meter_about(S));
    times->phase = UJ_PHASE_OVER;
    if (series != NULL && core->started)
      uj_series_add(series, UJ_SERIES_RAN, times->spent_ns[UJ_PHASE_RUNS]);
  }
  if (S->meter->trace != NULL && (core->started || core->timed)) {
    uj_trace_ended(S, job, uj_meter_about(S));
    leave_trace(S);
  }
  S->meter->plain->ended(loop, core);
}

/* ---- the host ------------------------------------------------------------ */

UJ_SELDOM static void trace_resume(struct uj_state *S, struct uj_ljob *job,
                                   uint64_t real_ns)
{
  uj_trace_resume(S, job, job->core.timed ? uj_times_of(job) : NULL,
                  S->is_virtual ? S->virtual_ns : real_ns);
}

UJ_SELDOM static void attach(struct uj_state *S, struct uj_ljob *job)
{
  uj_series_attach(S, job);
}

/* Returns the real time. What the loop did since the end of the last stretch is
 * counted as a part of this one: it is not worth another reading. */
static inline UJ_OFTEN uint64_t begin(struct uj_state *S, struct uj_ljob *job)
{
  uint64_t real_ns = S->meter->fresh ? S->meter->now_ns : uj_meter_read_real(S);
  if (uj_lsched_of(job->core.sched)->series == NULL)
    attach(S, job);
  if (S->meter->trace != NULL)
    trace_resume(S, job, real_ns);
  if (job->core.timed)
    begin_stretch(job, S->is_virtual ? S->virtual_ns : real_ns);
  return real_ns;
}

UJ_SELDOM static void trace_suspend(struct uj_state *S, struct uj_ljob *job,
                                    uint64_t begin_ns, uint64_t end_ns)
{
  if (S->is_virtual)
    begin_ns = end_ns = S->virtual_ns;
  uj_trace_suspend(S, job, begin_ns, end_ns);
  leave_trace(S);
}

static inline UJ_OFTEN void end(struct uj_state *S, struct uj_ljob *job,
                                uint64_t begin_ns)
{
  uint64_t real_ns = uj_meter_read_real(S);
  S->meter->fresh = true;
  uj_meter_note_stretch(S, job, real_ns - begin_ns);
  if (job->core.timed)
    end_stretch(job, S->is_virtual ? S->virtual_ns : real_ns);
  if (S->meter->trace != NULL)
    trace_suspend(S, job, begin_ns, real_ns);
}

/* For others than host_resume(), which has both of them inside. */
UJ_SELDOM static uint64_t begin_seldom(struct uj_state *S, struct uj_ljob *job)
{
  return begin(S, job);
}

UJ_SELDOM static void end_seldom(struct uj_state *S, struct uj_ljob *job,
                                 uint64_t begin_ns)
{
  end(S, job, begin_ns);
}

static enum uj_job_state host_resume(struct uj_loop *loop, struct uj_job *core)
{
  struct uj_state *S = uj_state_of(loop);
  struct uj_ljob *job = uj_ljob_of(core);
  enum uj_job_state state;
  S->meter->begin_ns = begin(S, job);
  state = S->meter->plain->resume(loop, core);
  end(S, job, S->meter->begin_ns);
  return state;
}

static void host_kill(struct uj_loop *loop, struct uj_job *core)
{
  struct uj_state *S = uj_state_of(loop);
  struct uj_ljob *job = uj_ljob_of(core);
  S->meter->begin_ns = begin_seldom(S, job);
  S->meter->plain->kill(loop, core);
  end_seldom(S, job, S->meter->begin_ns);
}

void uj_times_cover(struct uj_state *S, struct uj_ljob *job)
{
  end_seldom(S, job, S->meter->begin_ns);
}

void uj_times_uncover(struct uj_state *S, struct uj_ljob *job)
{
  S->meter->fresh = false;
  S->meter->begin_ns = begin_seldom(S, job);
}

void uj_times_init(struct uj_state *S, lua_State *L,
                   const struct uj_host *plain)
{
  uj_meter_init(S, L, plain);
  S->meter->host.resume = host_resume;
  S->meter->host.kill = host_kill;
  S->meter->host.ended = host_ended;
  S->meter->host.ready = host_ready;
}

void uj_times_use(struct uj_state *S, enum uj_meter_user user, bool on)
{
  struct uj_meter *meter = S->meter;
  meter->users = on ? meter->users | user : meter->users & ~(unsigned)user;
  meter->exact = (meter->users & UJ_METER_TRACE) != 0;
  S->measures = meter->users != 0;
  S->loop.host = S->measures ? &meter->host : meter->plain;
  S->loop.heeds = (uint8_t)((S->loop.heeds & ~UJ_HEED_READY) |
                            (S->measures ? UJ_HEED_READY : 0));
  meter->fresh = false;
}

static struct uj_times *live_times(struct uj_state *S, uint32_t slot)
{
  struct uj_ljob *job = uj_state_job(S, slot);
  return job != NULL && job->core.timed ? uj_times_of(job) : NULL;
}

void uj_times_stop(struct uj_state *S)
{
  uint64_t now_ns = uj_meter_read(S);
  for (uint32_t slot = 1; S->measures && slot < S->jobs.next; slot++) {
    struct uj_times *times = live_times(S, slot);
    if (times != NULL)
      end_phase(times, now_ns);
  }
}

void uj_times_start(struct uj_state *S)
{
  uint64_t now_ns = uj_meter_read(S);
  for (uint32_t slot = 1; S->measures && slot < S->jobs.next; slot++) {
    struct uj_times *times = live_times(S, slot);
    if (times != NULL)
      times->since_ns = now_ns;
  }
}

void uj_times_note(struct uj_state *S, uint64_t now_ns, bool fresh)
{
  uj_meter_note(S, now_ns, fresh);
  if (S->meter->trace == NULL)
    return;
  uj_trace_poll(S, now_ns);
  leave_trace(S);
}

/* ---- looking ------------------------------------------------------------- */

static void set_seconds(lua_State *L, const char *field, uint64_t ns)
{
  uj_seconds_push(L, ns);
  lua_setfield(L, -2, field);
}

void uj_times_push(struct uj_state *S, lua_State *L, struct uj_ljob *job)
{
  struct uj_times times = {.spent_ns = {[UJ_PHASE_RUNS] = job->cpu_ns}};
  if (!job->core.timed && !S->measures && times.spent_ns[UJ_PHASE_RUNS] == 0) {
    lua_pushnil(L);
    return;
  }
  lua_createtable(L, 0, 3);
  if (job->core.timed) {
    times = *uj_times_of(job);
    if (S->measures && times.phase != UJ_PHASE_OVER)
      end_phase(&times, uj_meter_read(S));
    set_seconds(L, "waited", times.spent_ns[UJ_PHASE_WAITS]);
    set_seconds(L, "ready", times.spent_ns[UJ_PHASE_READY]);
  }
  set_seconds(L, "ran", times.spent_ns[UJ_PHASE_RUNS]);
}

/* trace_start(path, limit): returns the number of the trace, or nil and why
 * not. `limit` is a number of bytes, or nil for none. */
static int l_trace_start(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  const char *path = luaL_checkstring(L, 1);
  uint64_t limit =
      lua_isnoneornil(L, 2) ? UINT64_MAX : (uint64_t)luaL_checkinteger(L, 2);
  int error = EBUSY;
  if (S->meter->trace == NULL) {
    uj_times_use(S, UJ_METER_TRACE, true);
    error = uj_trace_start(S, path, limit);
    uj_times_use(S, UJ_METER_TRACE, error == 0);
  }
  if (error != 0) {
    lua_pushnil(L);
    lua_pushstring(L, error == EBUSY ? "another trace is being written"
                                     : strerror(error));
    return 2;
  }
  lua_pushinteger(L, S->meter->ntraces);
  return 1;
}

/* trace_stop(): ends the trace that is being written, if there is one. */
static int l_trace_stop(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  uj_trace_stop(S);
  uj_times_use(S, UJ_METER_TRACE, false);
  return 0;
}

/* trace_state(): "open", "closed", "full" or an error; the number of the trace;
 * events, bytes. */
static int l_trace_state(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  const struct uj_meter *meter = S->meter;
  const struct uj_trace *trace;
  uj_trace_sync(S);
  leave_trace(S);
  trace = meter->trace;
  if (trace != NULL)
    lua_pushliteral(L, "open");
  else if (meter->trace_error != 0)
    lua_pushstring(L, strerror(meter->trace_error));
  else
    lua_pushstring(L, meter->trace_full ? "full" : "closed");
  lua_pushinteger(L, meter->ntraces);
  lua_pushinteger(L, (lua_Integer)(trace != NULL ? trace->tape->chrome.events
                                                 : meter->traced_events));
  lua_pushinteger(L, (lua_Integer)(trace != NULL
                                       ? uj_chrome_size(&trace->tape->chrome)
                                       : meter->traced_bytes));
  return 4;
}

/* measure([on]): whether the times of jobs are measured; and from now on. */
static int l_measure(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  bool was = (S->meter->users & UJ_METER_STATS) != 0;
  if (lua_isboolean(L, 1))
    uj_times_use(S, UJ_METER_STATS, lua_toboolean(L, 1));
  lua_pushboolean(L, was);
  return 1;
}

const luaL_Reg uj_times_internals[] = {{"measure", l_measure},
                                       {"trace_start", l_trace_start},
                                       {"trace_stop", l_trace_stop},
                                       {"trace_state", l_trace_state},
                                       {NULL, NULL}};
