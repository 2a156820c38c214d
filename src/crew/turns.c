#include "crew/turns.h"

#include "core/clock.h"
#include "crew/record.h"

/* ---- whose turn it is ---------------------------------------------------- */

static bool waits_no_longer(const struct uj_member *self)
{
  return self->due_ns <= self->crew->now_ns || uj_member_has_news(self) ||
         self->date_ns != self->crew->date_ns || uj_member_must_tell(self);
}

static bool can_go_on(const struct uj_member *self)
{
  switch (self->state) {
  case UJ_MEMBER_READY:
    return true;
  case UJ_MEMBER_WAITS:
    return waits_no_longer(self);
  case UJ_MEMBER_AWAITS:
    return self->awaited->state == UJ_MEMBER_LEFT;
  case UJ_MEMBER_COLLECTS:
    return uj_crew_has_told(self->crew);
  default:
    return false;
  }
}

/* Each of those that can go on with the same probability; or NULL. */
static struct uj_member *draw(struct uj_crew *self)
{
  struct uj_member *drawn = NULL;
  struct uj_link *link = self->members.next;
  uint64_t n = 0;
  for (; link != &self->members; link = link->next)
    if (can_go_on(uj_member_at(link)) &&
        uj_random_next(&self->random) % ++n == 0)
      drawn = uj_member_at(link);
  return drawn;
}

/* The first of them after who had the turn last; or NULL. */
static struct uj_member *next_in_order(struct uj_crew *self)
{
  struct uj_link *link = self->last;
  do {
    link = link->next;
    if (link != &self->members && can_go_on(uj_member_at(link)))
      return uj_member_at(link);
  } while (link != self->last);
  return NULL;
}

static void hand_turn(struct uj_crew *self, struct uj_member *to)
{
  self->turn = to;
  self->last = &to->link;
  to->state = UJ_MEMBER_RUNS;
  to->is_outside = false;
  if (to->is_listening)
    to->host.wake(to->host.arg);
  else
    pthread_cond_signal(&to->changed);
  to->is_listening = false;
}

/* Returns whether a member waits for the outside; otherwise until when the
 * first one waits, and whether that is for more than a limit. */
static bool is_outside(const struct uj_crew *self, uint64_t *due_ns,
                       bool *has_time)
{
  struct uj_link *link = self->members.next;
  *due_ns = UJ_NEVER;
  *has_time = false;
  for (; link != &self->members; link = link->next) {
    const struct uj_member *member = uj_member_at(link);
    if (member->is_outside)
      return true;
    if (member->state != UJ_MEMBER_WAITS || member->due_ns == UJ_NEVER)
      continue;
    *due_ns = uj_clock_min(*due_ns, member->due_ns);
    *has_time = *has_time || member->limits == UJ_MEMBER_HAS_NONE;
  }
  return false;
}

/* Nobody can go on, and no job waits for a time. Returns whether the founder is
 * told, which it is if it waits, too. */
static bool is_told(struct uj_crew *self)
{
  if (self->founder == NULL || self->founder->state != UJ_MEMBER_WAITS)
    return false;
  self->verdict = uj_crew_judge(self);
  if (self->verdict == UJ_CREW_GOES_ON)
    return false;
  hand_turn(self, self->founder);
  return true;
}

static void give(struct uj_crew *self)
{
  struct uj_member *next;
  uint64_t due_ns;
  bool has_time;
  while ((next = self->shuffles ? draw(self) : next_in_order(self)) == NULL) {
    if (is_outside(self, &due_ns, &has_time) || (!has_time && is_told(self)) ||
        due_ns == UJ_NEVER)
      return;
    self->now_ns = due_ns;
  }
  hand_turn(self, next);
}

/* ---- beginning ----------------------------------------------------------- */

void uj_turns_begin(struct uj_member *founder, uint64_t now_ns, int64_t date_ns,
                    bool shuffles, uint64_t seed)
{
  struct uj_crew *crew = founder->crew;
  pthread_mutex_lock(&crew->lock);
  crew->give_turn = give;
  crew->shuffles = shuffles;
  crew->now_ns = now_ns;
  crew->date_ns = founder->date_ns = date_ns;
  uj_random_init(&crew->random, seed);
  crew->turn = founder;
  crew->last = &founder->link;
  pthread_mutex_unlock(&crew->lock);
}

bool uj_turns_are_taken(const struct uj_member *self)
{
  return self->crew->give_turn != NULL;
}

bool uj_turns_shuffle(const struct uj_member *self)
{
  return self->crew->shuffles;
}

uint64_t uj_member_seed(const struct uj_member *self)
{
  return self->seed;
}

/* ---- passing it on ------------------------------------------------------- */

void uj_turns_pass(struct uj_member *self, const struct uj_pass *pass)
{
  struct uj_crew *crew = self->crew;
  pthread_mutex_lock(&crew->lock);
  crew->now_ns = uj_clock_max(crew->now_ns, pass->now_ns);
  self->due_ns = pass->due_ns;
  self->limits = pass->limits;
  self->is_outside = pass->is_outside;
  self->is_listening = pass->is_listening;
  self->state =
      pass->due_ns <= crew->now_ns ? UJ_MEMBER_READY : UJ_MEMBER_WAITS;
  crew->turn = NULL;
  give(crew);
  pthread_mutex_unlock(&crew->lock);
}

/* The lock is held. */
static void wait_for_turn(struct uj_member *self)
{
  while (self->crew->turn != self)
    pthread_cond_wait(&self->changed, &self->crew->lock);
}

void uj_turns_take(struct uj_member *self)
{
  pthread_mutex_lock(&self->crew->lock);
  wait_for_turn(self);
  pthread_mutex_unlock(&self->crew->lock);
}

bool uj_turns_has(struct uj_member *self)
{
  bool has;
  pthread_mutex_lock(&self->crew->lock);
  has = self->crew->turn == self;
  pthread_mutex_unlock(&self->crew->lock);
  return has;
}

void uj_turns_ask(struct uj_member *self)
{
  struct uj_crew *crew = self->crew;
  pthread_mutex_lock(&crew->lock);
  self->is_listening = false;
  if (crew->turn != self) {
    self->state = UJ_MEMBER_READY;
    self->is_outside = false;
    if (crew->turn == NULL)
      give(crew);
  }
  pthread_mutex_unlock(&crew->lock);
}

void uj_turns_look(struct uj_member *self)
{
  pthread_mutex_lock(&self->crew->lock);
  if (self->crew->turn == NULL)
    give(self->crew);
  pthread_mutex_unlock(&self->crew->lock);
}

void uj_turns_await_leave(struct uj_member *self, struct uj_member *other)
{
  struct uj_crew *crew = self->crew;
  pthread_mutex_lock(&crew->lock);
  if (crew->give_turn != NULL && crew->turn == self) {
    self->state = UJ_MEMBER_AWAITS;
    self->due_ns = UJ_NEVER;
    self->limits = UJ_MEMBER_HAS_NONE;
    self->awaited = other;
    self->is_listening = false;
    crew->turn = NULL;
    give(crew);
    wait_for_turn(self);
    self->awaited = NULL;
  }
  pthread_mutex_unlock(&crew->lock);
}

enum uj_crew_verdict uj_turns_verdict(struct uj_member *self)
{
  struct uj_crew *crew = self->crew;
  enum uj_crew_verdict verdict = UJ_CREW_GOES_ON;
  pthread_mutex_lock(&crew->lock);
  if (self == crew->founder) {
    verdict = crew->verdict;
    crew->verdict = UJ_CREW_GOES_ON;
  }
  pthread_mutex_unlock(&crew->lock);
  return verdict;
}

/* ---- the clock ----------------------------------------------------------- */

uint64_t uj_turns_now(struct uj_member *self)
{
  uint64_t now_ns;
  pthread_mutex_lock(&self->crew->lock);
  now_ns = self->crew->now_ns;
  pthread_mutex_unlock(&self->crew->lock);
  return now_ns;
}

int64_t uj_turns_date(struct uj_member *self)
{
  int64_t date_ns;
  pthread_mutex_lock(&self->crew->lock);
  date_ns = self->date_ns = self->crew->date_ns;
  pthread_mutex_unlock(&self->crew->lock);
  return date_ns;
}

void uj_turns_set_date(struct uj_member *self, int64_t date_ns)
{
  pthread_mutex_lock(&self->crew->lock);
  self->crew->date_ns = self->date_ns = date_ns;
  pthread_mutex_unlock(&self->crew->lock);
}

uint64_t uj_turns_due(struct uj_member *self)
{
  struct uj_crew *crew = self->crew;
  struct uj_link *link;
  uint64_t due_ns = UJ_NEVER;
  pthread_mutex_lock(&crew->lock);
  for (link = crew->members.next; link != &crew->members; link = link->next) {
    const struct uj_member *other = uj_member_at(link);
    if (other != self)
      due_ns = can_go_on(other) ? 0 : uj_clock_min(due_ns, other->due_ns);
    if (due_ns == 0)
      break;
  }
  pthread_mutex_unlock(&crew->lock);
  return due_ns;
}
