#include "lua/engine/scopes.h"

#include "core/sched.h"
#include "lua/engine/stretch.h"

static void set_limits(struct uj_job *job, uint64_t deadline_ns, bool protect)
{
  uj_job_set_limits(job, deadline_ns, protect);
  uj_stretch_limits_changed(uj_state_of(job->sched->loop));
}

/* Sets the limits that hold inside of the scope, from those outside. */
static void set_inside(struct uj_job *job, const struct uj_scope *scope)
{
  if (scope->kind == UJ_SCOPE_PROTECT)
    set_limits(job, UJ_NEVER, true);
  else
    set_limits(job, uj_clock_min(scope->deadline_ns, scope->limit_ns),
               scope->protect);
}

/* Keeps the limits of the job, and sets those that hold in the scope. */
static void apply(struct uj_job *job, struct uj_scope *scope)
{
  scope->deadline_ns = job->deadline_ns;
  scope->protect = job->protect;
  set_inside(job, scope);
}

void uj_scope_enter(struct uj_ljob *job, struct uj_scope *scope)
{
  scope->job = job;
  scope->below = job->scope;
  job->scope = scope;
  apply(&job->core, scope);
}

void uj_scope_unlink(struct uj_scope *scope)
{
  struct uj_scope **link;
  if (scope->job == NULL)
    return;
  for (link = &scope->job->scope; *link != NULL; link = &(*link)->below)
    if (*link == scope) {
      *link = scope->below;
      break;
    }
  scope->job = NULL;
}

void uj_scope_leave(struct uj_scope *scope)
{
  struct uj_job *job = &scope->job->core;
  uj_scope_unlink(scope);
  uj_job_leave_limits(job, scope->deadline_ns, scope->protect);
  uj_stretch_limits_changed(uj_state_of(job->sched->loop));
}

void uj_scope_reenter(struct uj_ljob *job, struct uj_scope *innermost)
{
  if (innermost->outer != NULL)
    uj_scope_reenter(job, innermost->outer);
  uj_scope_enter(job, innermost);
}

void uj_scope_suspend(struct uj_ljob *job, struct uj_scope *innermost,
                      uint64_t deadline_ns, bool protect)
{
  for (; innermost != NULL; innermost = innermost->outer)
    uj_scope_unlink(innermost);
  if (job->scope == NULL)
    set_limits(&job->core, deadline_ns, protect);
  else
    set_inside(&job->core, job->scope);
}

/* Makes the limits of the job anew, from the outermost scope on. The depth of
 * this recursion is that of the calls, which Lua limits to about 200. */
static void reapply(struct uj_job *job, struct uj_scope *scope)
{
  if (scope->below != NULL)
    reapply(job, scope->below);
  else
    set_limits(job, scope->deadline_ns, scope->protect);
  apply(job, scope);
}

/* A job that waits is woken. One that pauses, because it ignores what it was
 * told before, hears of it after that. */
static void interrupt_wait(struct uj_job *job)
{
  if (job->place == UJ_AT_WAIT && job->refusals == 0 &&
      uj_job_interrupted(job) == UJ_WAKE_DEADLINE)
    uj_job_wake(job, UJ_WAKE_DEADLINE);
}

void uj_scope_trip(struct uj_state *S, struct uj_scope *scope)
{
  if (scope->limit_ns != UJ_NEVER)
    return;
  scope->limit_ns = uj_loop_now(&S->loop);
  if (scope->job == NULL)
    return;
  uj_job_note_deadline(&scope->job->core, scope->limit_ns);
  reapply(&scope->job->core, scope->job->scope);
  interrupt_wait(&scope->job->core);
}

bool uj_scope_is_tripped(const struct uj_ljob *job)
{
  const struct uj_scope *scope = job->scope;
  for (; scope != NULL && scope->kind != UJ_SCOPE_PROTECT; scope = scope->below)
    if (scope->kind == UJ_SCOPE_NURSERY && scope->limit_ns != UJ_NEVER)
      return true;
  return false;
}
