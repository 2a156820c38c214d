#include "crew/crew.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "channel/process.h"
#include "core/clock.h"
#include "crew/record.h"

/* ---- members ------------------------------------------------------------- */

static struct uj_crew *new_crew(void)
{
  struct uj_crew *self = calloc(1, sizeof(*self));
  if (self == NULL)
    return NULL;
  if (pthread_mutex_init(&self->lock, NULL) != 0) {
    free(self);
    return NULL;
  }
  self->nforks = uj_process_forks();
  uj_link_init(&self->members);
  self->last = &self->members;
  atomic_init(&self->asks, false);
  return self;
}

/* The lock is held, unless nobody else knows the crew yet. */
static struct uj_member *new_member(struct uj_crew *crew)
{
  struct uj_member *self = calloc(1, sizeof(*self));
  if (self == NULL)
    return NULL;
  if (pthread_cond_init(&self->changed, NULL) != 0) {
    free(self);
    return NULL;
  }
  self->crew = crew;
  self->due_ns = UJ_NEVER;
  uj_link_init(&self->link);
  uj_link_append(&crew->members, &self->link);
  crew->refs++;
  crew->nmembers++;
  return self;
}

struct uj_member *uj_crew_found(bool is_fed)
{
  struct uj_crew *crew = new_crew();
  struct uj_member *self;
  if (crew == NULL)
    return NULL;
  self = new_member(crew);
  if (self == NULL) {
    pthread_mutex_destroy(&crew->lock);
    free(crew);
    return NULL;
  }
  self->state = UJ_MEMBER_RUNS;
  crew->founder = self;
  crew->is_fed = is_fed;
  return self;
}

struct uj_member *uj_crew_add(struct uj_member *by)
{
  struct uj_crew *crew = by->crew;
  struct uj_member *self;
  pthread_mutex_lock(&crew->lock);
  self = new_member(crew);
  if (self != NULL) {
    self->number = ++crew->last_number;
    self->date_ns = crew->date_ns;
    self->state = crew->give_turn != NULL ? UJ_MEMBER_READY : UJ_MEMBER_RUNS;
    if (crew->give_turn != NULL)
      self->seed = uj_random_next(&crew->random);
  }
  pthread_mutex_unlock(&crew->lock);
  return self;
}

bool uj_member_is_here(const struct uj_member *self)
{
  return self->crew->nforks == uj_process_forks();
}

bool uj_member_is_founder(const struct uj_member *self)
{
  return self->number == 0;
}

unsigned uj_member_number(const struct uj_member *self)
{
  return self->number;
}

void uj_member_set_host(struct uj_member *self,
                        const struct uj_member_host *host)
{
  pthread_mutex_lock(&self->crew->lock);
  self->host = *host;
  pthread_mutex_unlock(&self->crew->lock);
}

/* ---- resting ------------------------------------------------------------- */

static bool any_has_news(const struct uj_crew *self)
{
  struct uj_link *link = self->members.next;
  for (; link != &self->members; link = link->next)
    if (uj_member_has_news(uj_member_at(link)))
      return true;
  return false;
}

/* The lock is held. Only the members that rest can be asked for news. */
static void look_whether_stuck(struct uj_crew *self)
{
  if (self->give_turn != NULL || self->nresting < self->nmembers ||
      self->founder == NULL || self->founder->host.wake == NULL ||
      any_has_news(self))
    return;
  self->verdict = uj_crew_judge(self);
  if (self->verdict != UJ_CREW_GOES_ON)
    self->founder->host.wake(self->founder->host.arg);
}

void uj_member_rest(struct uj_member *self, enum uj_member_limits limits)
{
  struct uj_crew *crew = self->crew;
  pthread_mutex_lock(&crew->lock);
  self->state = UJ_MEMBER_RESTS;
  self->limits = limits;
  crew->nresting++;
  look_whether_stuck(crew);
  pthread_mutex_unlock(&crew->lock);
}

/* The lock is held. */
static void stop_resting(struct uj_member *self)
{
  if (self->state != UJ_MEMBER_RESTS)
    return;
  self->state = UJ_MEMBER_RUNS;
  self->crew->nresting--;
}

enum uj_crew_verdict uj_member_rise(struct uj_member *self)
{
  struct uj_crew *crew = self->crew;
  enum uj_crew_verdict verdict = UJ_CREW_GOES_ON;
  pthread_mutex_lock(&crew->lock);
  stop_resting(self);
  if (self == crew->founder)
    verdict = crew->verdict;
  crew->verdict = UJ_CREW_GOES_ON; /* whoever rests next looks again */
  pthread_mutex_unlock(&crew->lock);
  return verdict;
}

/* ---- leaving ------------------------------------------------------------- */

/* Who was the last before takes its place. */
static void unlink_member(struct uj_member *self)
{
  if (self->crew->last == &self->link)
    self->crew->last = self->link.prev;
  uj_link_remove(&self->link);
  self->crew->nmembers--;
}

void uj_member_leave(struct uj_member *self)
{
  struct uj_crew *crew = self->crew;
  if (!uj_member_is_here(self))
    return;
  pthread_mutex_lock(&crew->lock);
  stop_resting(self);
  unlink_member(self);
  self->state = UJ_MEMBER_LEFT;
  if (crew->founder == self)
    crew->founder = NULL;
  else if (crew->founder != NULL)
    pthread_cond_signal(&crew->founder->changed);
  if (crew->turn == self) {
    crew->turn = NULL;
    crew->give_turn(crew);
  }
  look_whether_stuck(crew);
  pthread_mutex_unlock(&crew->lock);
}

/* In the child of a fork the lock may be taken for ever. The crew is kept then,
 * so that it is no leak. */
static _Atomic(struct uj_member *) lost;

void uj_member_free(struct uj_member *self)
{
  struct uj_crew *crew;
  bool is_last;
  if (self == NULL)
    return;
  if (!uj_member_is_here(self)) {
    self->awaited = atomic_exchange(&lost, self);
    return;
  }
  crew = self->crew;
  pthread_mutex_lock(&crew->lock);
  is_last = --crew->refs == 0;
  pthread_mutex_unlock(&crew->lock);
  pthread_cond_destroy(&self->changed);
  free(self->text);
  free(self);
  if (!is_last)
    return;
  pthread_mutex_destroy(&crew->lock);
  free(crew);
}

/* ---- telling ------------------------------------------------------------- */

/* The lock is held. */
static void ask(struct uj_crew *self)
{
  struct uj_link *link = self->members.next;
  self->asks = true;
  for (; link != &self->members; link = link->next) {
    struct uj_member *member = uj_member_at(link);
    member->has_told = false;
    if (uj_member_must_tell(member) && self->give_turn == NULL)
      member->host.wake(member->host.arg);
  }
}

static void wait_for_texts(struct uj_member *founder, unsigned patience_s)
{
  struct uj_crew *crew = founder->crew;
  struct timespec until;
  int status = 0;
  (void)clock_gettime(CLOCK_REALTIME, &until);
  until.tv_sec += patience_s;
  while (status == 0 && !uj_crew_has_told(crew))
    status = pthread_cond_timedwait(&founder->changed, &crew->lock, &until);
}

static void take_turn_with_texts(struct uj_member *founder)
{
  struct uj_crew *crew = founder->crew;
  founder->state = UJ_MEMBER_COLLECTS;
  crew->turn = NULL;
  crew->give_turn(crew);
  while (crew->turn != founder)
    pthread_cond_wait(&founder->changed, &crew->lock);
}

/* The lock is held. Takes the texts. */
static char *join_texts(struct uj_crew *self)
{
  struct uj_link *link;
  size_t size = 1, used = 0;
  char *all;
  for (link = self->members.next; link != &self->members; link = link->next)
    if (uj_member_at(link)->text != NULL)
      size += strlen(uj_member_at(link)->text);
  all = calloc(1, size);
  for (link = self->members.next; link != &self->members; link = link->next) {
    struct uj_member *member = uj_member_at(link);
    if (all != NULL && member->text != NULL) {
      memcpy(all + used, member->text, strlen(member->text));
      used += strlen(member->text);
    }
    free(member->text);
    member->text = NULL;
  }
  return all;
}

char *uj_crew_collect(struct uj_member *founder, unsigned patience_s)
{
  struct uj_crew *crew = founder->crew;
  char *all;
  pthread_mutex_lock(&crew->lock);
  ask(crew);
  if (crew->give_turn != NULL)
    take_turn_with_texts(founder);
  else
    wait_for_texts(founder, patience_s);
  crew->asks = false;
  all = join_texts(crew);
  pthread_mutex_unlock(&crew->lock);
  return all;
}

bool uj_member_is_asked(struct uj_member *self)
{
  bool is_asked;
  if (!self->crew->asks)
    return false;
  pthread_mutex_lock(&self->crew->lock);
  is_asked = uj_member_must_tell(self);
  pthread_mutex_unlock(&self->crew->lock);
  return is_asked;
}

void uj_member_tell(struct uj_member *self, char *text)
{
  struct uj_crew *crew = self->crew;
  pthread_mutex_lock(&crew->lock);
  if (uj_member_must_tell(self)) {
    free(self->text);
    self->text = text;
    text = NULL;
    self->has_told = true;
    if (crew->founder != NULL)
      pthread_cond_signal(&crew->founder->changed);
  }
  pthread_mutex_unlock(&crew->lock);
  free(text);
}
