/* The options of run() and of start(). Most of them are the same. */
#ifndef UJ_LUA_OPTIONS_H
#define UJ_LUA_OPTIONS_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

#include "lua/base/args.h"
#include "lua/base/options.h"
#include "lua/engine/hook.h"
#include "lua/engine/inspecting.h"
#include "lua/state/state.h"

/* Options that hold for the loop, whoever drives it. */
struct uj_drive_options {
  enum uj_interrupt_mode mode;
  int signal;       /* for UJ_INTERRUPT_SIGNAL */
  uint64_t slow_ns; /* see struct uj_stretch */
  bool never_slow;
  bool timed;    /* the times of jobs are measured */
  bool shuffles; /* see struct uj_loop */
  uint64_t seed;
  struct uj_inspecting_options inspect;
};

/* What run() or start() is told. */
struct uj_run_options {
  struct uj_drive_options loop;
  uint64_t slice_ns;   /* of the main job */
  uint64_t timeout_ns; /* start() only: of the job; or UJ_NEVER */
  uint64_t close_ns;   /* run() only: see struct uj_ending */
  uint64_t date_ns;    /* run() only: at which a virtual clock starts */
  bool has_date;       /* that was given */
  unsigned signals;    /* run() only: a set, see signals.h */
  unsigned dumps;      /* run() only: a set, of one or none */
  unsigned threads;    /* run() only: see uj_tasks_set_limit() */
  uint64_t random;     /* run() only: the seed of what is random */
  bool has_random;     /* that was given */
  bool is_virtual;     /* run() only */
  const char *of_loop; /* an option of `loop` that was given, or NULL */
};

/* Sets the defaults. */
void uj_drive_options_init(struct uj_drive_options *options);

/* Reads the table at 1. */
void uj_drive_options_read_run(lua_State *L, const struct uj_callee *callee,
                               struct uj_run_options *options);
void uj_drive_options_read_start(lua_State *L, const struct uj_callee *callee,
                                 struct uj_run_options *options);

/* Makes the options hold in the loop, until others are applied. */
void uj_drive_options_apply(struct uj_state *S,
                            const struct uj_drive_options *options);

#endif
