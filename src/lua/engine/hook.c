#include "lua/engine/hook.h"

#include "core/sched.h"

/* ---- the interrupting hook ----------------------------------------------- */

/* Also called in the signal handler. A hook of ours that is there is set once
 * more, because Lua overlooks one that is set while it sees that there is none.
 */
static void arm(struct uj_hook *self, lua_State *co)
{
  if (lua_gethook(co) != self->ours->interrupt) {
    self->on = co;
    self->user_hook = lua_gethook(co);
    self->user_mask = lua_gethookmask(co);
    self->user_count = lua_gethookcount(co);
  }
  lua_sethook(
      co, self->ours->interrupt,
      self->user_mask | LUA_MASKCOUNT | (self->samples ? LUA_MASKRET : 0), 1);
}

/* Gives the user's hook back, unless another one was set meanwhile. */
static void disarm(struct uj_hook *self)
{
  lua_State *co = self->on;
  self->on = NULL;
  if (co != NULL && lua_gethook(co) == self->ours->interrupt)
    lua_sethook(co, self->user_hook, self->user_mask, self->user_count);
}

void uj_hook_move(struct uj_state *S)
{
  struct uj_hook *self = S->hook;
  lua_State *co = uj_hook_target(S);
  self->moving = true;
  if (self->on != co)
    disarm(self);
  if (co == NULL)
    S->hook_wanted = false;
  else if (S->killing)
    uj_hook_set_kill(S, co);
  else if (S->hook_wanted)
    arm(self, co);
  self->moving = false;
}

void uj_hook_take_off(struct uj_state *S)
{
  S->hook_wanted = false;
  S->hook->moving = true;
  disarm(S->hook);
  S->hook->moving = false;
}

/* A job that is being killed, or whose instructions are counted, has a hook
 * already that looks after it. */
void uj_hook_on_signal(void *state)
{
  struct uj_state *S = state;
  lua_State *co = uj_hook_target(S);
  if (co == NULL || S->killing || lua_gethook(co) == S->hook->ours->count)
    return;
  S->hook_wanted = true;
  if (!S->hook->moving)
    arm(S->hook, co);
}

/* A user's hook that counts to more than one counts from the beginning again
 * when it comes back. */
void uj_hook_call_user(const struct uj_hook *self, lua_State *L, lua_Debug *ar)
{
  static const int masks[] = {[LUA_HOOKCALL] = LUA_MASKCALL,
                              [LUA_HOOKTAILCALL] = LUA_MASKCALL,
                              [LUA_HOOKRET] = LUA_MASKRET,
                              [LUA_HOOKLINE] = LUA_MASKLINE,
                              [LUA_HOOKCOUNT] = LUA_MASKCOUNT};
  if (self->user_hook != NULL && (self->user_mask & masks[ar->event]) &&
      (ar->event != LUA_HOOKCOUNT || self->user_count == 1))
    self->user_hook(L, ar);
}

/* ---- the other hooks ----------------------------------------------------- */

void uj_hook_set_kill(struct uj_state *S, lua_State *co)
{
  lua_sethook(co, S->hook->ours->kill, LUA_MASKCALL | LUA_MASKCOUNT, 1);
}

bool uj_hook_counts(const struct uj_state *S, const struct uj_sched *sched)
{
  enum uj_interrupt_mode mode = S->hook->mode;
  return mode == UJ_INTERRUPT_COUNT ||
         (S->is_virtual && sched->slice_ns != UJ_NEVER &&
          mode != UJ_INTERRUPT_NONE);
}

void uj_hook_reset(struct uj_state *S, lua_State *co, bool counted)
{
  lua_Hook hook = lua_gethook(S->L);
  int mask = lua_gethookmask(S->L), count = lua_gethookcount(S->L);
  if (counted) {
    hook = S->hook->ours->count;
    mask |= LUA_MASKCOUNT;
    count = UJ_HOOK_COUNT_EVERY;
  }
  lua_sethook(co, hook, mask, count);
}

void uj_hook_reset_stray(struct uj_state *S, lua_State *co)
{
  if (S->L == NULL)
    lua_sethook(co, NULL, 0, 0);
  else
    uj_hook_reset(S, co, S->hook->mode == UJ_INTERRUPT_COUNT);
}
