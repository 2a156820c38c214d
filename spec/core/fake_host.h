/* A host for the core in which the test sets the clock and a job is a script, a
 * list of acts.
 *
 * What happens is written to a log that the test compares:
 *   a          the job `a` starts
 *   a:ok       it goes on, for this reason (enum uj_wake)
 *   a!         it is ended by force
 *   a=done     it has ended, in this state
 *   a+b        it has spawned b
 *   a-b        it could not spawn b, because the scheduler is closed
 * A job is freed when it has ended, so ASan finds whoever touches it later. */
#ifndef SPEC_CORE_FAKE_HOST_H
#define SPEC_CORE_FAKE_HOST_H

#include "check.h"

#include "core/admit.h"
#include "core/end.h"
#include "core/job.h"
#include "core/order.h"
#include "core/sched.h"
#include "core/turn.h"

#define FAKE_ACTS 8
#define MS UINT64_C(1000000)

struct fake_job;

enum act_kind {
  ACT_END,
  ACT_PARK,
  ACT_LINE,
  ACT_SLEEP,
  ACT_YIELD,
  ACT_PREEMPT, /* the job is preempted, and goes on with the next act */
  ACT_ALONE,
  ACT_CALL,
  ACT_SPAWN
};

struct act {
  enum act_kind kind;
  enum uj_job_state state;            /* END: the last one; zero means DONE */
  struct uj_waitq *waitq;             /* PARK */
  struct uj_line *line;               /* LINE */
  unsigned op;                        /* PARK; zero means UJ_OP_HOST */
  uint64_t due_ns;                    /* PARK, LINE: a time; SLEEP: a span */
  void (*call)(struct fake_job *job); /* CALL: the next act follows at once */
  struct uj_sched *sched;             /* SPAWN, ALONE */
  const char *name;                   /* SPAWN */
};

#define END(last)                           \
  (struct act)                              \
  {                                         \
    .kind = ACT_END, .state = UJ_JOB_##last \
  }
#define PARK(queue)                                        \
  (struct act)                                             \
  {                                                        \
    .kind = ACT_PARK, .waitq = (queue), .due_ns = UJ_NEVER \
  }
#define PARK_UNTIL(queue, time)                          \
  (struct act)                                           \
  {                                                      \
    .kind = ACT_PARK, .waitq = (queue), .due_ns = (time) \
  }
#define LINE_UNTIL(where, time)                         \
  (struct act)                                          \
  {                                                     \
    .kind = ACT_LINE, .line = (where), .due_ns = (time) \
  }
#define SLEEP(span)                     \
  (struct act)                          \
  {                                     \
    .kind = ACT_SLEEP, .due_ns = (span) \
  }
#define YIELD         \
  (struct act)        \
  {                   \
    .kind = ACT_YIELD \
  }
#define PREEMPT         \
  (struct act)          \
  {                     \
    .kind = ACT_PREEMPT \
  }
#define ALONE(where)                    \
  (struct act)                          \
  {                                     \
    .kind = ACT_ALONE, .sched = (where) \
  }
#define CALL(function)                   \
  (struct act)                           \
  {                                      \
    .kind = ACT_CALL, .call = (function) \
  }
#define SPAWN(where, child)                              \
  (struct act)                                           \
  {                                                      \
    .kind = ACT_SPAWN, .sched = (where), .name = (child) \
  }

struct fake_job {
  struct uj_job job;
  struct uj_rank rank; /* if the job has one */
  const char *name;
  struct act acts[FAKE_ACTS]; /* those that are left out are END(DONE) */
  unsigned next;              /* in acts */
  struct fake_job *child;     /* borrowed: the job that it cannot spawn yet */
  bool kept;                  /* the test frees it, not fake_ended() */
};

struct fake {
  struct uj_loop loop;
  struct uj_sched sched;
  uint64_t now_ns;
  char log[4096];
};

#define JOB(fake, name, ...)                   \
  fake_job_new((fake), &(fake)->sched, (name), \
               (const struct act[FAKE_ACTS]){__VA_ARGS__})
#define SPAWNED(fake, name, ...) \
  fake_spawn((fake), JOB((fake), (name), __VA_ARGS__))
#define LOG(fake, expected)             \
  do {                                  \
    CHECK_STR((fake)->log, (expected)); \
    (fake)->log[0] = '\0';              \
  } while (0)

static inline struct fake *fake_of(struct uj_loop *loop)
{
  return uj_container(loop, struct fake, loop);
}

static inline struct fake_job *fake_job_of(struct uj_job *job)
{
  return uj_container(job, struct fake_job, job);
}

/* ACT_CALL: begins with the first act again. */
static inline void again(struct fake_job *job)
{
  job->next = 0;
}

/* ACT_CALL: holds cancellation off from now on. */
static inline void protect(struct fake_job *job)
{
  job->job.protect = true;
}

static inline void fake_log(struct fake *fake, const char *who, const char *sep,
                            const char *what)
{
  size_t len = strlen(fake->log);
  snprintf(fake->log + len, sizeof fake->log - len, "%s%s%s%s",
           len == 0 ? "" : " ", who, sep, what);
}

static inline struct fake_job *fake_job_new(struct fake *fake,
                                            struct uj_sched *sched,
                                            const char *name,
                                            const struct act *acts)
{
  struct fake_job *job = calloc(1, sizeof *job);
  if (job == NULL)
    abort();
  (void)fake;
  uj_job_init(&job->job, sched);
  job->name = name;
  memcpy(job->acts, acts, sizeof job->acts);
  return job;
}

static inline struct fake_job *fake_spawn(struct fake *fake,
                                          struct fake_job *job)
{
  CHECK_EQ(uj_sched_spawn(job->job.sched, &job->job), UJ_OK);
  uj_loop_check(&fake->loop);
  return job;
}

/* Returns false if there is no room, and the spawner is parked. */
static inline bool fake_act_spawn(struct fake *fake, struct fake_job *job,
                                  const struct act *act)
{
  static const struct act ends[FAKE_ACTS];
  struct fake_job *child = fake_job_new(fake, act->sched, act->name, ends);
  switch (uj_sched_spawn(act->sched, &child->job)) {
  case UJ_OK:
    fake_log(fake, job->name, "+", child->name);
    return true;
  case UJ_ECLOSED:
    fake_log(fake, job->name, "-", child->name);
    free(child);
    return true;
  default:
    job->child = child;
    uj_sched_block(act->sched, &child->job, &job->job);
    return false;
  }
}

static inline enum uj_job_state fake_run(struct fake *fake,
                                         struct fake_job *job)
{
  for (;;) {
    const struct act *act = &job->acts[job->next++];
    switch (act->kind) {
    case ACT_END:
      return act->state == UJ_JOB_NEW ? UJ_JOB_DONE : act->state;
    case ACT_PARK:
      uj_job_park(&job->job, act->waitq, act->due_ns,
                  act->op == UJ_OP_NONE ? UJ_OP_HOST : act->op);
      return UJ_JOB_ACTIVE;
    case ACT_LINE:
      uj_line_park(act->line, &job->job, act->due_ns, UJ_OP_HOST);
      return UJ_JOB_ACTIVE;
    case ACT_SLEEP:
      uj_job_park(&job->job, NULL, uj_clock_add(fake->now_ns, act->due_ns),
                  UJ_OP_HOST);
      return UJ_JOB_ACTIVE;
    case ACT_YIELD:
      uj_job_yield(&job->job);
      return UJ_JOB_ACTIVE;
    case ACT_PREEMPT:
      uj_job_preempt(&job->job);
      return UJ_JOB_ACTIVE;
    case ACT_ALONE:
      uj_sched_wait_alone(act->sched, &job->job);
      return UJ_JOB_ACTIVE;
    case ACT_CALL:
      act->call(job);
      break;
    case ACT_SPAWN:
      if (!fake_act_spawn(fake, job, act))
        return UJ_JOB_ACTIVE;
      break;
    }
  }
}

static inline uint64_t fake_now(struct uj_loop *loop)
{
  return fake_of(loop)->now_ns;
}

static inline enum uj_job_state fake_resume(struct uj_loop *loop,
                                            struct uj_job *core)
{
  static const char *const wakes[] = {"ok",        "timeout", "deadline",
                                      "cancelled", "closed",  "killed"};
  struct fake_job *job = fake_job_of(core);
  if (job->next == 0)
    fake_log(fake_of(loop), job->name, "", "");
  else
    fake_log(fake_of(loop), job->name, ":", wakes[core->wake]);
  job->child = NULL;
  return fake_run(fake_of(loop), job);
}

static inline void fake_kill(struct uj_loop *loop, struct uj_job *core)
{
  fake_log(fake_of(loop), fake_job_of(core)->name, "!", "");
}

static inline void fake_ended(struct uj_loop *loop, struct uj_job *core)
{
  static const char *const states[] = {"new",       "pending", "active",
                                       "closing",   "done",    "failed",
                                       "cancelled", "killed"};
  fake_log(fake_of(loop), fake_job_of(core)->name, "=", states[core->state]);
  CHECK(uj_link_empty(&core->queue));
  CHECK(uj_link_empty(&core->member));
  CHECK(uj_waitq_empty(&core->waiters));
  CHECK(!uj_timer_armed(&core->timer));
  if (!fake_job_of(core)->kept)
    free(fake_job_of(core));
}

static inline void fake_init(struct fake *fake)
{
  static const struct uj_host host = {.now = fake_now,
                                      .resume = fake_resume,
                                      .kill = fake_kill,
                                      .ended = fake_ended,
                                      .rank_offset =
                                          offsetof(struct fake_job, rank) -
                                          offsetof(struct fake_job, job)};
  memset(fake, 0, sizeof *fake);
  fake->now_ns = 1000 * MS;
  uj_loop_init(&fake->loop, &host);
  uj_sched_init(&fake->sched, &fake->loop);
}

/* Like fake_init(), with limits for the scheduler. */
static inline void fake_init_limits(struct fake *fake, uint64_t limit,
                                    uint64_t pending_limit)
{
  fake_init(fake);
  uj_sched_set_limit(&fake->sched, limit);
  uj_sched_set_pending_limit(&fake->sched, pending_limit);
}

static inline void fake_turn(struct fake *fake)
{
  uj_loop_turn(&fake->loop);
  uj_loop_check(&fake->loop);
}

/* Makes another scheduler. The test ends it by uj_sched_term() after
 * fake_term(). */
static inline void fake_sched_init(struct fake *fake, struct uj_sched *sched,
                                   uint64_t limit, uint64_t pending_limit)
{
  uj_sched_init(sched, &fake->loop);
  uj_sched_set_limit(sched, limit);
  uj_sched_set_pending_limit(sched, pending_limit);
}

/* Takes turns until no job is ready. */
static inline void fake_settle(struct fake *fake)
{
  while (uj_loop_ready(&fake->loop))
    fake_turn(fake);
}

static inline void fake_advance(struct fake *fake, uint64_t span_ns)
{
  fake->now_ns = uj_clock_add(fake->now_ns, span_ns);
  fake_turn(fake);
}

/* Ends all that is left: no job outlives a close and the time that it allows.
 */
static inline void fake_term(struct fake *fake)
{
  uj_loop_close(&fake->loop, UJ_NEVER);
  for (int turns = 0; turns < 100 && uj_loop_live(&fake->loop); turns++)
    fake_advance(fake, fake->sched.close_ns);
  CHECK(!uj_loop_live(&fake->loop));
  CHECK_EQ(uj_timers_check(&fake->loop.timers), 0);
  CHECK_EQ(uj_loop_due(&fake->loop), UJ_NEVER);
  uj_sched_term(&fake->sched);
}

#endif
