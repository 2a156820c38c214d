/* The scopes of a job: the limits that timeout(), protect() and nursery() set
 * while the function runs that each of them calls.
 *
 * The scopes that hold in a job now are a chain, from the innermost one,
 * uj_ljob::scope, outwards. Each has in it the limits that hold outside of it,
 * so leaving one costs no walk. When a limit changes that is not the innermost,
 * the limits are made anew, from the outermost scope on.
 *
 * A nested coroutine (nest.h) that yields takes its scopes with it: they are
 * not in the chain until it goes on. */
#ifndef UJ_LUA_ENGINE_SCOPES_H
#define UJ_LUA_ENGINE_SCOPES_H

#include <stdbool.h>
#include <stdint.h>

#include "lua/state/job.h"
#include "lua/state/state.h"

enum uj_scope_kind {
  UJ_SCOPE_TIMEOUT,
  UJ_SCOPE_PROTECT, /* holds off cancellation, and the limits outside */
  UJ_SCOPE_NURSERY  /* its limit has passed when a job of the nursery fails */
};

/* Owned by Lua, as a userdata that is a to-be-closed variable of the call. */
struct uj_scope {
  struct uj_ljob *job;     /* in whose chain it is, or NULL */
  struct uj_scope *below;  /* the next one outwards in that chain, or NULL */
  struct uj_scope *outer;  /* the next one of the same nested coroutine */
  struct uj_lsched *sched; /* of a nursery */
  enum uj_scope_kind kind;
  bool is_nested;       /* a nested coroutine has opened it */
  bool protect;         /* outside: uj_job::protect */
  uint64_t deadline_ns; /* outside: uj_job::deadline_ns */
  uint64_t limit_ns;    /* its own deadline; or UJ_NEVER */
};

/* The scope becomes the innermost one of the job. */
void uj_scope_enter(struct uj_ljob *job, struct uj_scope *scope);

/* The innermost scope is left: the limits outside of it hold again. */
void uj_scope_leave(struct uj_scope *scope);

/* Takes a scope out of the chain it is in, if any, wherever it is there. The
 * limits of the job stay what they are. */
void uj_scope_unlink(struct uj_scope *scope);

/* A nested coroutine goes on in the scopes that it has open, of which this is
 * the innermost: enters them again. */
void uj_scope_reenter(struct uj_ljob *job, struct uj_scope *innermost);

/* A nested coroutine has stopped: its scopes, of which this is the innermost
 * (or NULL), are taken out of the chain, and the limits hold that are around
 * them. Where no scope is left those are the ones given. */
void uj_scope_suspend(struct uj_ljob *job, struct uj_scope *innermost,
                      uint64_t deadline_ns, bool protect);

/* A job of the nursery has failed: from now on the function of this scope is
 * interrupted, as by a deadline that passes now. */
void uj_scope_trip(struct uj_state *S, struct uj_scope *scope);

/* Whether the job is interrupted because a nursery failed, whatever deadlines
 * have passed. */
bool uj_scope_is_tripped(const struct uj_ljob *job);

#endif
