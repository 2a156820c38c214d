/* How jobs end: by themselves, because they are cancelled, or because they or
 * their scheduler are closed.
 *
 * To cancel a job is to tell it, again and again, that it must end. To close it
 * is to cancel it and to end it by force when it lives on after a time. */
#ifndef UJ_CORE_END_H
#define UJ_CORE_END_H

#include <stdint.h>

#include "core/job.h"
#include "core/sched.h"

/* Ends a job that has not started; any other gets UJ_WAKE_CANCELLED at its next
 * operation, and at each that follows. */
void uj_job_cancel(struct uj_job *job);

/* Cancels a job, and has it killed if it lives on after `span_ns`. */
void uj_job_close(struct uj_job *job, uint64_t span_ns);

/* How long `closer`, which may be NULL, can give others to end: `span_ns`, or
 * less if it is to be ended by force itself, so that they end before it. */
uint64_t uj_job_grace(const struct uj_job *closer, uint64_t span_ns);

/* Does what a ready job will do about the wait that it has left too early, on
 * its behalf (uj_job::on_abandon). */
void uj_job_abandon(struct uj_job *job);

/* The job has ended in `state`: lets the next into its scheduler and wakes all
 * that wait for it. The host may free the job before this returns. */
void uj_job_end(struct uj_job *job, enum uj_job_state state);

/* Admits nothing more, ends what has not started and closes what runs. It does
 * not wait. `closer`, the job that closes, or NULL, is spared if it is one of
 * the scheduler's own. If it is being closed itself the others get less time
 * than it has. */
void uj_sched_close(struct uj_sched *sched, struct uj_job *closer);
/* The same, with `span_ns` at most for the jobs. */
void uj_sched_close_within(struct uj_sched *sched, struct uj_job *closer,
                           uint64_t span_ns);

#endif
