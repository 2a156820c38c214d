/* Operations on semaphores, mutexes, events and queues of values. */
#ifndef SPEC_CORE_PLAY_THINGS_H
#define SPEC_CORE_PLAY_THINGS_H

#include "play_base.h"

/* Waits for what UJ_WAKE_OK hands over. */
static inline void park_to_own(struct list *in, struct uj_waitq *waitq)
{
  uint64_t due_ns = one_in(2) ? UJ_NEVER : random_due();
  say("waits until %" PRIu64, due_ns);
  model_park_to_own(play.running, in, due_ns);
  uj_job_park(core_of(play.running), waitq, due_ns, UJ_OP_HOST);
}

/* An operation that can suspend does, also when it would not have to wait. */
static inline bool is_refused(void)
{
  enum uj_wake wake = model_interrupted(play.running);
  CHECK_EQ(uj_job_interrupted(core_of(play.running)), wake);
  return wake != UJ_WAKE_OK;
}

/* --- semaphores --- */

static inline bool try_semaphore(int i)
{
  bool got = model_semaphore_try(i);
  say("tries semaphore %d: %d", i, got);
  CHECK_EQ(uj_semaphore_try(&semaphore[i]), got);
  return got;
}

static inline void op_release(int i)
{
  bool was_taken = model_semaphore_release(i);
  say("release semaphore %d: %d", i, was_taken);
  CHECK_EQ(uj_semaphore_release(&semaphore[i]), was_taken);
}

static inline bool op_acquire(int i)
{
  if (!is_refused() && try_semaphore(i))
    return false;
  park_to_own(&m.semaphore[i].waiters, &semaphore[i].waiters);
  return true;
}

/* --- mutexes --- */

static inline bool try_lock(int i)
{
  bool got = model_lock(i, play.running);
  say("tries mutex %d: %d", i, got);
  CHECK_EQ(uj_mutex_try(&mutex[i], core_of(play.running)), got);
  return got;
}

static inline void op_unlock(int i)
{
  if (m.mutex[i].owner != play.running || play.running == NOBODY)
    return;
  say("unlocks mutex %d", i);
  model_unlock(i);
  uj_mutex_unlock(&mutex[i]);
}

static inline bool op_lock(int i)
{
  if (m.mutex[i].owner == play.running)
    return false;
  if (!is_refused() && try_lock(i))
    return false;
  park_to_own(&m.mutex[i].waiters, &mutex[i].waiters);
  return true;
}

static inline void init_mutex(int i)
{
  m.mutex[i].owner = NOBODY;
  m.mutex[i].turn = 0;
  uj_mutex_init(&mutex[i]);
}

/* Another mutex takes the place of one, which may be locked: no job refers to
 * it any more. */
static inline void op_renew_mutex(int i)
{
  if (m.mutex[i].waiters.count > 0)
    return;
  say("another mutex %d", i);
  list_remove(&m.locked, i);
  uj_mutex_term(&mutex[i]);
  init_mutex(i);
}

/* --- events --- */

static inline void op_event(int i)
{
  if (one_in(2)) {
    say("set event %d", i);
    model_event_set(i);
    uj_event_set(&event[i]);
  } else {
    say("clear event %d", i);
    m.event[i].is_set = false;
    uj_event_clear(&event[i]);
  }
}

static inline bool op_event_wait(int i)
{
  if (!is_refused() && m.event[i].is_set)
    return false;
  say("waits for event %d", i);
  park(&m.event[i].waiters, &event[i].waiters, UJ_OP_HOST);
  return true;
}

/* --- queues of values --- */

static inline void store(int i, uint64_t value)
{
  CHECK(values[i].count < VALUES);
  values[i].value[values[i].count++] = value;
}

static inline uint64_t take(int i)
{
  uint64_t value = values[i].value[0];
  CHECK(values[i].count > 0);
  values[i].count--;
  memmove(values[i].value, values[i].value + 1,
          (size_t)values[i].count * sizeof value);
  return value;
}

static inline struct rjob *rjob_of(struct uj_job *core)
{
  return uj_container(core, struct rjob, core);
}

static inline enum uj_queue_result put(int i, uint64_t value)
{
  struct uj_job *getter;
  enum uj_queue_result result = model_put(i, value);
  say("puts %" PRIu64 " into queue of values %d: %d", value, i, (int)result);
  CHECK_EQ(uj_queue_put(&values[i].core, &getter), result);
  CHECK_EQ(getter != NULL, result == UJ_QUEUE_HANDED);
  if (getter != NULL)
    rjob_of(getter)->value = value;
  else if (result == UJ_QUEUE_STORED)
    store(i, value);
  return result;
}

static inline enum uj_queue_result get(int i)
{
  struct uj_job *putter;
  uint64_t expected = 0, value = 0;
  enum uj_queue_result result = model_get(i, &expected);
  say("gets %" PRIu64 " from queue of values %d: %d", expected, i, (int)result);
  CHECK_EQ(uj_queue_get(&values[i].core, &putter), result);
  if (result == UJ_QUEUE_STORED) {
    value = take(i);
    if (putter != NULL)
      store(i, rjob_of(putter)->value);
  } else if (putter != NULL) {
    value = rjob_of(putter)->value;
  }
  CHECK_EQ(value, expected);
  return result;
}

static inline bool op_put(int i)
{
  uint64_t value = ++m.last_value;
  if (!is_refused() && put(i, value) != UJ_QUEUE_WAIT)
    return false;
  m.job[play.running].value = value;
  rjob_of(core_of(play.running))->value = value;
  park_to_own(&m.values[i].putters, &values[i].core.putters);
  return true;
}

static inline bool op_get(int i)
{
  if (!is_refused() && get(i) != UJ_QUEUE_WAIT)
    return false;
  park_to_own(&m.values[i].getters, &values[i].core.getters);
  return true;
}

static inline void op_queue_close(int i)
{
  say("close queue of values %d", i);
  model_queue_close(i);
  uj_queue_close(&values[i].core);
}

static inline void init_queue(int i)
{
  m.values[i].capacity = (uint64_t)below(VALUES + 1);
  m.values[i].closed = false;
  m.values[i].count = 0;
  uj_queue_init(&values[i].core, m.values[i].capacity);
  values[i].count = 0;
}

/* Another queue takes the place of one that is closed. */
static inline void op_renew_queue(int i)
{
  if (!m.values[i].closed)
    return;
  say("another queue of values %d", i);
  init_queue(i);
}

/* --- all of them --- */

/* An operation that never suspends. */
static inline void op_thing(void)
{
  int i = below(THINGS);
  switch (below(10)) {
  case 0:
    (void)try_semaphore(i);
    break;
  case 1:
  case 2:
    op_release(i);
    break;
  case 3:
    op_event(i);
    break;
  case 4:
    if (play.running != NOBODY)
      (void)try_lock(i);
    break;
  case 5:
    op_unlock(i);
    break;
  case 6:
    (void)put(i, ++m.last_value);
    break;
  case 7:
    (void)get(i);
    break;
  case 8:
    if (one_in(8))
      op_queue_close(i);
    break;
  default:
    if (one_in(2))
      op_renew_mutex(i);
    else
      op_renew_queue(i);
  }
}

/* An operation that can suspend; returns whether it does. */
static inline bool op_thing_inside(void)
{
  int i = below(THINGS);
  switch (below(5)) {
  case 0:
    return op_acquire(i);
  case 1:
    return op_lock(i);
  case 2:
    return op_event_wait(i);
  case 3:
    return op_put(i);
  default:
    return op_get(i);
  }
}

static inline void init_things(void)
{
  for (int i = 0; i < THINGS; i++) {
    m.semaphore[i].count = m.semaphore[i].total = (uint64_t)below(4);
    uj_semaphore_init(&semaphore[i], m.semaphore[i].total);
    uj_event_init(&event[i]);
    init_mutex(i);
    init_queue(i);
  }
}

static inline void term_things(void)
{
  for (int i = 0; i < THINGS; i++)
    uj_mutex_term(&mutex[i]);
  CHECK(uj_link_empty(&loop.locked));
}

#endif
