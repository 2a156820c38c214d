/* The life of a job, in words that every file of the core shares: its states,
 * and the reasons for which it runs again. See job.h for the transitions. */
#ifndef UJ_CORE_LIFE_H
#define UJ_CORE_LIFE_H

enum uj_job_state {
  UJ_JOB_NEW,     /* not admitted: being made, or blocked in spawn */
  UJ_JOB_PENDING, /* waits for a free slot of its scheduler */
  UJ_JOB_ACTIVE,  /* has a slot; runs, waits, or is about to start */
  UJ_JOB_CLOSING, /* active, and cancelled */
  UJ_JOB_DONE,    /* this state and all that follow are final */
  UJ_JOB_FAILED,
  UJ_JOB_CANCELLED,
  UJ_JOB_KILLED
};

/* Why a job runs again. */
enum uj_wake {
  UJ_WAKE_OK,        /* what it waited for has come */
  UJ_WAKE_TIMEOUT,   /* the time limit of the operation passed */
  UJ_WAKE_DEADLINE,  /* the deadline of the job, or of a part of it, passed */
  UJ_WAKE_CANCELLED, /* the job is cancelled */
  UJ_WAKE_CLOSED,    /* the thing waited for was closed */
  UJ_WAKE_KILLED /* the job is ended by force; its function does not go on */
};

#endif
