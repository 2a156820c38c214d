#include "lua/insight/seen.h"

#include <assert.h>
#include <string.h>

#include "core/mutex.h"
#include "lua/engine/covered.h"
#include "lua/state/sched.h"

/* What a job waits for, in the words of lua/uvjobs/insight/. */
static const char *const op_words[] = {
    [UJ_OP_NONE] = "ready",
    [UJ_OP_YIELD] = "ready",
    [UJ_OP_PREEMPTED] = "ready",
    [UJ_LOP_SLEEP] = "sleep",
    [UJ_LOP_AWAIT] = "await",
    [UJ_LOP_WORK] = "work",
    [UJ_LOP_POLL] = "poll",
    [UJ_OP_WAIT] = "job",
    [UJ_LOP_CLOSE] = "close",
    [UJ_LOP_SHIELD] = "shield",
    [UJ_OP_SPAWN] = "place",
    [UJ_OP_IDLE] = "idle",
    [UJ_LOP_RATE] = "rate",
    [UJ_LOP_LIMIT] = "limit",
    [UJ_LOP_EVENT] = "event",
    [UJ_LOP_GET] = "get",
    [UJ_LOP_PUT] = "put",
    [UJ_LOP_CHANNEL_GET] = "receive",
    [UJ_LOP_CHANNEL_PUT] = "send",
    [UJ_LOP_ACQUIRE] = "permit",
    [UJ_LOP_LOCK] = "mutex",
    [UJ_LOP_SELECT] = "select",
    [UJ_LOP_REPEATING] = "repeating",
};

/* ---- looking ------------------------------------------------------------- */

/* The job is in no wait list. */
static const char *word_of_place(const struct uj_ljob *job)
{
  if (uj_cover_of(uj_state_of(job->core.sched->loop), job) != NULL)
    return "covered";
  switch (job->core.place) {
  case UJ_AT_PENDING:
    return "slot";
  case UJ_AT_HELD:
    return "start";
  case UJ_AT_READY:
    return job->core.started ? "ready" : "start";
  default:
    return "run";
  }
}

/* A wait without a word here is a mistake, for which a look at the others is
 * not to fail. */
static const char *word_of_op(unsigned op)
{
  const char *word =
      op < sizeof(op_words) / sizeof(*op_words) ? op_words[op] : NULL;
  assert(word != NULL);
  return word != NULL ? word : "wait";
}

static bool waits_for_job(const struct uj_job *core)
{
  return core->target != NULL &&
         (core->op == UJ_OP_WAIT || core->op == UJ_LOP_CLOSE ||
          core->op == UJ_LOP_SHIELD);
}

static void look(struct uj_ljob *job, struct uj_glance *glance)
{
  const struct uj_job *core = &job->core;
  glance->id = core->id;
  glance->slot = job->slot;
  glance->due_ns = uj_timer_armed(&core->timer) ? core->timer.due_ns : UJ_NEVER;
  if (core->place != UJ_AT_WAIT) {
    glance->word = word_of_place(job);
    glance->sched = core->place == UJ_AT_PENDING ? core->sched : NULL;
    return;
  }
  glance->word = word_of_op(core->op);
  if (waits_for_job(core))
    glance->other = core->target->id;
  else if (core->op == UJ_OP_SPAWN && core->target != NULL)
    glance->sched = core->target->sched;
}

static struct uj_glance *glance_of(struct uj_glance *glances,
                                   struct uj_link *link)
{
  struct uj_job *core = uj_container(link, struct uj_job, queue);
  return &glances[uj_ljob_of(core)->slot];
}

/* Those who wait for the scheduler. */
static void look_at_waiters(struct uj_glance *glances, struct uj_sched *sched,
                            const struct uj_waitq *waitq, const char *word)
{
  const struct uj_link *list = &waitq->jobs;
  for (struct uj_link *link = list->next; link != list; link = link->next) {
    struct uj_glance *glance = glance_of(glances, link);
    glance->word = word;
    glance->sched = sched;
  }
}

static void look_at_scheds(struct uj_glance *glances,
                           const struct uj_loop *loop)
{
  const struct uj_link *list = &loop->scheds;
  for (struct uj_link *link = list->next; link != list; link = link->next) {
    struct uj_sched *sched = uj_container(link, struct uj_sched, link);
    look_at_waiters(glances, sched, &sched->idle, "idle");
    look_at_waiters(glances, sched, &sched->alone, "alone");
  }
}

static void look_at_mutexes(struct uj_glance *glances,
                            const struct uj_loop *loop)
{
  const struct uj_link *list = &loop->locked;
  for (struct uj_link *link = list->next; link != list; link = link->next) {
    const struct uj_mutex *mutex = uj_container(link, struct uj_mutex, locked);
    const struct uj_link *jobs = &mutex->waiters.jobs;
    for (struct uj_link *at = jobs->next; at != jobs; at = at->next)
      glance_of(glances, at)->other = mutex->owner->id;
  }
}

/* ---- in order ------------------------------------------------------------ */

/* Moves the jobs to the front. Returns how many there are. */
static uint32_t compact(struct uj_glance *glances, uint32_t n)
{
  uint32_t count = 0;
  for (uint32_t slot = 0; slot < n; slot++)
    if (glances[slot].id != 0)
      glances[count++] = glances[slot];
  return count;
}

static bool is_sorted(const struct uj_glance *glances, uint32_t n)
{
  for (uint32_t i = 1; i < n; i++)
    if (glances[i].id < glances[i - 1].id)
      return false;
  return true;
}

/* Sorts by one byte of the number, into another array; equal ones stay in their
 * order. */
static void sort_by_byte(const struct uj_glance *from, struct uj_glance *to,
                         uint32_t n, unsigned byte)
{
  uint32_t starts[257] = {0};
  for (uint32_t i = 0; i < n; i++)
    starts[(from[i].id >> (8 * byte) & 0xff) + 1]++;
  for (int i = 0; i < 256; i++)
    starts[i + 1] += starts[i];
  for (uint32_t i = 0; i < n; i++)
    to[starts[from[i].id >> (8 * byte) & 0xff]++] = from[i];
}

/* By number: the order of the slots depends on what was there before. `spare`
 * has as much room. qsort() of the C library can call malloc(), and in a copy
 * of the process that can wait for ever: see inspect/copy.h. */
static void sort(struct uj_glance *glances, struct uj_glance *spare, uint32_t n,
                 uint64_t greatest)
{
  unsigned byte = 0;
  if (is_sorted(glances, n))
    return;
  for (; byte < 8 && greatest >> (8 * byte) != 0; byte++) {
    struct uj_glance *from = byte % 2 == 0 ? glances : spare;
    sort_by_byte(from, from == glances ? spare : glances, n, byte);
  }
  if (byte % 2 != 0)
    memcpy(glances, spare, n * sizeof(*glances));
}

/* [-0, +1, m] Room for all jobs, twice. */
static struct uj_glance *push_room(lua_State *L, uint32_t n)
{
  return lua_newuserdatauv(L, 2 * (size_t)n * sizeof(struct uj_glance), 0);
}

struct uj_glance *uj_seen_push(struct uj_state *S, lua_State *L, uint32_t *n)
{
  uint32_t slots = S->jobs.next;
  struct uj_glance *glances = push_room(L, slots);
  while (S->jobs.next > slots) { /* a finalizer has spawned */
    lua_pop(L, 1);
    slots = S->jobs.next;
    glances = push_room(L, slots);
  }
  for (uint32_t slot = 0; slot < slots; slot++) {
    struct uj_ljob *job = slot > 0 ? uj_ljob_live(S, slot) : NULL;
    glances[slot] = (struct uj_glance){.due_ns = UJ_NEVER};
    if (job != NULL)
      look(job, &glances[slot]);
  }
  look_at_scheds(glances, &S->loop);
  look_at_mutexes(glances, &S->loop);
  *n = compact(glances, slots);
  sort(glances, glances + slots, *n, S->loop.last_id);
  return glances;
}

struct uj_ljob *uj_seen_job(struct uj_state *S, const struct uj_glance *glance)
{
  struct uj_ljob *job = uj_ljob_live(S, glance->slot);
  return job != NULL && job->core.id == glance->id ? job : NULL;
}
