/* Letting jobs into a scheduler that has an order: who of those that wait is
 * next, and whether the key and the rate allow it. For admit.c, which does it
 * where there is no order; and what both do.
 *
 * Whoever may start does so at once. So after each call: if the scheduler may
 * start jobs, then every job that waits is of a key that has reached its limit;
 * and if the rate alone holds a job back, the bell is set. */
#ifndef UJ_CORE_RANKS_H
#define UJ_CORE_RANKS_H

#include <assert.h>

#include "core/job.h"
#include "core/sched.h"
#include "core/seldom.h"

/* Gives a job a slot: it starts when its turn comes in the ready queue. */
static inline void uj_sched_activate(struct uj_sched *sched, struct uj_job *job)
{
  uj_job_move(job, UJ_JOB_ACTIVE);
  sched->nactive++;
  uj_job_make_ready(job);
}

static inline void uj_sched_note_pending(struct uj_sched *sched,
                                         struct uj_job *job)
{
  assert(sched->npending < sched->pending_limit); /* M2 */
  uj_job_move(job, UJ_JOB_PENDING);
  sched->npending++;
  job->place = UJ_AT_PENDING;
}

/* A job that has been admitted is one of the scheduler. */
static inline void uj_sched_add(struct uj_sched *sched, struct uj_job *job)
{
  sched->loop->spawned++;
  sched->nlive++;
  uj_link_append(&sched->jobs, &job->member);
}

/* Gives a NEW job a slot or a place in the pending queue; or returns UJ_EFULL
 * and leaves it as it is. */
UJ_SELDOM int uj_ranks_admit(struct uj_sched *sched, struct uj_job *job);

/* Puts a NEW job among the blocked ones, for which uj_group::blocked is there.
 */
UJ_SELDOM void uj_ranks_block(struct uj_sched *sched, struct uj_job *job);

/* Lets in who is next, as many as there is room for. */
UJ_SELDOM void uj_ranks_let_in(struct uj_sched *sched);

/* A job ends that was in the state `was`. The numbers of jobs do not say so
 * yet. */
UJ_SELDOM void uj_ranks_leave(struct uj_job *job, enum uj_job_state was);

/* A job starts that is ranked. */
UJ_SELDOM void uj_ranks_note_start(struct uj_job *job);

/* The bell has rung: lets in the jobs of all schedulers whose time has come. */
UJ_SELDOM void uj_ranks_ring(struct uj_loop *loop);

#endif
