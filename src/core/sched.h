/* A scheduler: the jobs that run under one set of limits.
 *
 * Invariants (M2, M3):
 *   - nactive <= limit, npending <= pending_limit;
 *   - a job is pending only while nactive == limit, and blocked only while
 *     npending == pending_limit: whenever a slot or a place gets free, the
 *     next in line takes it before anybody else can;
 *   - a closed scheduler has no pending and no blocked job. */
#ifndef UJ_CORE_SCHED_H
#define UJ_CORE_SCHED_H

#include <stdbool.h>
#include <stdint.h>

#include "core/job.h"
#include "core/link.h"
#include "core/waitq.h"

struct uj_loop;

#define UJ_UNLIMITED UINT64_MAX

enum { UJ_OK = 0, UJ_ECLOSED = -1, UJ_EFULL = -2 };

/* Owned by its Lua userdata, which lives as long as any of its jobs. */
struct uj_sched {
  struct uj_loop *loop;
  struct uj_link link;    /* in uj_loop::scheds */
  struct uj_link jobs;    /* of uj_job::member: pending and active ones */
  struct uj_link shields; /* of uj_job::member: outside the limit */
  struct uj_link pending; /* of uj_job::queue, in the order of spawning */
  struct uj_link blocked; /* of uj_job::queue, of jobs that are NEW */
  struct uj_waitq idle;   /* wait until no job is left */
  struct uj_waitq alone;  /* jobs of this scheduler that wait for the others */
  uint64_t limit;
  uint64_t pending_limit;
  uint64_t nactive; /* jobs in a slot; shielded ones have none */
  uint64_t npending;
  uint64_t nlive; /* nactive + npending + the shielded ones */
  uint64_t close_ns;
  uint64_t wait_ns;
  uint64_t slice_ns; /* its jobs are preempted after so long; or UJ_NEVER */
  bool closed;       /* admits nothing any more */
};

void uj_sched_init(struct uj_sched *sched, struct uj_loop *loop);
/* Leaves the loop; no job may be left. Idempotent. */
void uj_sched_term(struct uj_sched *sched);

/* Admits a NEW job: into a slot, or into the pending queue. Returns UJ_OK,
 * UJ_ECLOSED, or UJ_EFULL; then nothing has changed. */
int uj_sched_spawn(struct uj_sched *sched, struct uj_job *job);

/* Parks `spawner` until the NEW job, for which there was no room, is admitted
 * (UJ_WAKE_OK) or never will be (UJ_WAKE_CLOSED). A spawner that is woken for
 * another reason, or does not come to wait at all, takes its job with it: the
 * job ended. */
void uj_sched_block(struct uj_sched *sched, struct uj_job *job,
                    struct uj_job *spawner);
/* Takes a blocked job back: it is dropped. */
void uj_sched_unblock(struct uj_job *job);

/* Admits a NEW job outside the limits. Returns UJ_OK or UJ_ECLOSED. */
int uj_sched_shield(struct uj_sched *sched, struct uj_job *job);

/* Admits nothing more, drops what did not start and closes what runs. Does not
 * wait. The job that closes it, or NULL, is left alone if it is one of its own,
 * and if it is being closed itself, the others get less time than it has. */
void uj_sched_close(struct uj_sched *sched, struct uj_job *closer);
/* The same; the jobs get `span_ns` at most. */
void uj_sched_close_within(struct uj_sched *sched, struct uj_job *closer,
                           uint64_t span_ns);

/* Parks a job of the scheduler until it is the last one, but for others that
 * wait in the same way. */
void uj_sched_wait_alone(struct uj_sched *sched, struct uj_job *self);

/* For uj_job_end(): the job is no member any more. */
void uj_sched_remove(struct uj_sched *sched, struct uj_job *job,
                     enum uj_job_state was);

/* Asserts the invariants. */
void uj_sched_check(const struct uj_sched *sched);

#endif
