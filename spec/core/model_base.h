/* The state of the model: what the core keeps in links and counters stands here
 * in arrays that are searched. A job is an index; a list is an array of such.
 */
#ifndef SPEC_CORE_MODEL_BASE_H
#define SPEC_CORE_MODEL_BASE_H

#include "check.h"

#include "core/job.h"
#include "core/sched.h"

#define JOBS 40
#define SCHEDS 3
#define QUEUES 4
#define THINGS 2 /* of each kind */
#define VALUES 4 /* the largest capacity of a queue of values */
#define NOBODY (-1)

struct list {
  int count;
  int job[JOBS];
};

struct model_job {
  bool used;
  int sched;
  enum uj_job_state state;
  enum uj_place place;
  enum uj_wake wake;
  bool started, cancel, protect, shielded;
  bool yields;   /* it is ready because it yielded */
  bool owns;     /* UJ_WAKE_OK hands it what it waits for */
  bool paused;   /* it waits because its operation was refused too often */
  int refusals;  /* operations in a row that were refused */
  int stubborn;  /* refusals that it will still ignore */
  bool unwarned; /* kill_ns is for its own deadline, not yet raised */
  uint64_t deadline_ns, kill_ns;
  enum uj_wake raised; /* what was raised in it last while it ran on */
  uint64_t raised_ns;
  uint64_t limit_ns; /* of its wait; UJ_NEVER for none */
  uint64_t armed;    /* counts the settings of limits, for their order */
  enum uj_wake timer_wake;
  struct list *in; /* where it waits; or NULL */
  int child;       /* the job that it cannot spawn yet, or NOBODY */
  struct list waiters;
  enum uj_on_abandon on_abandon;
  int abandoned_job, abandoned_sched; /* what `on_abandon` closes, or NOBODY */
  uint64_t value;                     /* the one that it puts, or got */
  uint64_t preemptions;
};

struct model_sched {
  uint64_t limit, pending_limit, close_ns;
  bool closed, paused;
  struct list jobs, shields, pending, held, blocked, idle, alone;
  uint64_t ended[UJ_SCHED_ENDS];
  double waiting_ns, running_ns; /* since `since_ns` it has not changed */
  uint64_t since_ns;
  uint64_t had_active, had_pending; /* when it was last compared */
};

struct model_semaphore {
  uint64_t count, total;
  struct list waiters;
};

struct model_mutex {
  int owner; /* or NOBODY */
  uint64_t turn;
  struct list waiters;
};

struct model_event {
  bool is_set;
  struct list waiters;
};

struct model_queue {
  uint64_t capacity;
  bool closed;
  int count;
  uint64_t value[VALUES];
  struct list getters, putters;
};

struct model_end {
  int job;
  enum uj_job_state state;
};

static struct {
  uint64_t now_ns;
  uint64_t arms;
  struct model_job job[JOBS];
  struct model_sched sched[SCHEDS];
  struct list order; /* of the schedulers */
  struct list queue[QUEUES];
  struct model_semaphore semaphore[THINGS];
  struct model_mutex mutex[THINGS];
  struct model_event event[THINGS];
  struct model_queue values[THINGS];
  struct list locked; /* mutexes, in the order of locking */
  uint64_t last_value;
  struct list ready, batch, preempted, busy;
  bool busy_next; /* the batch has run */
  bool from_busy; /* this turn runs a busy job */
  bool cut_short; /* a job was preempted in this turn */
  bool asleep;    /* the driver must be woken when a job becomes ready */
  uint64_t wakes; /* how often the driver was woken */
  uint64_t spawned, preemptions, turns;
  struct model_end end[JOBS]; /* ends that the core has not reported yet */
  int nends;
} m;

static inline void list_push(struct list *list, int j)
{
  list->job[list->count++] = j;
}

static inline void list_remove(struct list *list, int j)
{
  int kept = 0;
  for (int i = 0; i < list->count; i++)
    if (list->job[i] != j)
      list->job[kept++] = list->job[i];
  list->count = kept;
}

static inline int list_shift(struct list *list)
{
  int j = list->job[0];
  list_remove(list, j);
  return j;
}

static inline struct model_sched *sched_of(int j)
{
  return &m.sched[m.job[j].sched];
}

static inline uint64_t count_active(const struct model_sched *sched)
{
  return (uint64_t)(sched->jobs.count - sched->pending.count);
}

static inline bool has_slot(const struct model_sched *sched)
{
  return !sched->paused && count_active(sched) < sched->limit;
}

static inline uint64_t count_live(const struct model_sched *sched)
{
  return (uint64_t)(sched->jobs.count + sched->shields.count);
}

#endif
