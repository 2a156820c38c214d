/* Who may enter a scheduler: into a slot, into the pending queue, or not yet.
 *
 * Whenever a job leaves, the next in line is let in at once, so nobody can
 * overtake (M3). See sched.h for the invariants. Who is next is who has waited
 * the longest, unless the scheduler has an order. */
#ifndef UJ_CORE_ADMIT_H
#define UJ_CORE_ADMIT_H

#include "core/job.h"
#include "core/sched.h"

/* Admits a NEW job: into a slot, or into the pending queue. Returns UJ_OK,
 * UJ_ECLOSED, or UJ_EFULL; only UJ_OK changes anything about the job. */
int uj_sched_spawn(struct uj_sched *sched, struct uj_job *job);

/* Admits a NEW job outside the limits. Returns UJ_OK or UJ_ECLOSED. */
int uj_sched_shield(struct uj_sched *sched, struct uj_job *job);

/* Parks `spawner` until the NEW job, for which there is no room, is admitted
 * (UJ_WAKE_OK) or never will be (UJ_WAKE_CLOSED). If the wait ends for another
 * reason, or is refused, the job is dropped. A job that is to be unique is also
 * dropped, and its spawner woken with UJ_WAKE_OK, when another one of its key
 * is admitted. */
void uj_sched_block(struct uj_sched *sched, struct uj_job *job,
                    struct uj_job *spawner);

/* Sets a limit while the scheduler is in use. Raising one lets in at once, in
 * order, as many as there is room for now. Lowering one ends nobody: fewer are
 * let in until the number is below it. */
void uj_sched_set_limit(struct uj_sched *sched, uint64_t limit);
void uj_sched_set_pending_limit(struct uj_sched *sched, uint64_t pending_limit);

/* From now on the order says who is next. */
void uj_sched_set_order(struct uj_sched *sched, struct uj_order *order);
/* The same as for the other limits, of a scheduler with an order. `per_s` is
 * UJ_NO_RATE for no rate. */
void uj_sched_set_key_limit(struct uj_sched *sched, uint64_t key_limit);
void uj_sched_set_rate(struct uj_sched *sched, double per_s, uint64_t burst);

/* From now on no job starts that has not started, until uj_sched_resume():
 * those that have a slot are held, and no other gets one. Shielded jobs do
 * start: they belong to a job that runs. Walks over the jobs. */
void uj_sched_pause(struct uj_sched *sched);
void uj_sched_resume(struct uj_sched *sched);

/* Parks a job of the scheduler until all others have ended, except those that
 * wait in the same way. */
void uj_sched_wait_alone(struct uj_sched *sched, struct uj_job *self);

/* For uj_job_end(): the job, which was in the state `was`, gives back its place
 * to the next in line. */
void uj_sched_remove(struct uj_sched *sched, struct uj_job *job,
                     enum uj_job_state was);

/* Asserts that the jobs that are held have a slot and have not started. */
void uj_sched_check_held(const struct uj_sched *sched);

#endif
