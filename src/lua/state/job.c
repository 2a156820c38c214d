#include "lua/state/job.h"

#include <lauxlib.h>

#include "lua/base/seconds.h"

const char uj_job_tag[] = UJ_JOB_TYPE;

struct uj_ljob *uj_ljob_to(lua_State *L, int idx)
{
  return uj_object_to(L, idx, uj_job_tag);
}

struct uj_ljob *uj_ljob_self(lua_State *L, const char *name)
{
  return uj_object_self(L, uj_job_tag, name);
}

void uj_ljob_keep(struct uj_state *S, lua_State *L, struct uj_ljob *job)
{
  lua_pushvalue(L, -1);
  job->slot = uj_slots_put(&S->jobs, L);
}

void uj_ljob_note_seen(struct uj_state *S, struct uj_ljob *job)
{
  struct uj_sched *sched = job->core.sched;
  job->core.unseen = false;
  if (--sched->nunseen > 0)
    return;
  lua_pushnil(S->hub);
  lua_rawsetp(S->hub, UJ_HUB_TYPES, sched);
}

/* A program gets to know the job: so it becomes one like the others. */
UJ_SELDOM static void show(struct uj_state *S, uint32_t slot)
{
  struct uj_ljob *job = uj_state_job(S, slot);
  uj_ljob_push_inside(S, S->hub, job);
  lua_rawgetp(S->hub, UJ_HUB_TYPES, job->core.sched);
  lua_setmetatable(S->hub, -2);
  lua_pop(S->hub, 1);
  uj_ljob_note_seen(S, job);
}

void uj_ljob_push(struct uj_state *S, lua_State *L, const struct uj_ljob *job)
{
  if (job->core.unseen)
    show(S, job->slot);
  uj_ljob_push_inside(S, L, job);
}

void uj_ljob_release(struct uj_state *S, struct uj_ljob *job)
{
  if (job->core.unseen)
    uj_ljob_note_seen(S, job);
  uj_slots_drop(&S->jobs, job->slot);
}

void uj_ljob_hand(struct uj_ljob *job, lua_State *from, int n)
{
  lua_xmove(from, job->co, n);
  job->ninputs = (unsigned)n;
}

bool uj_ljob_can_take(const struct uj_ljob *job, int n)
{
  return lua_checkstack(job->co, n + LUA_MINSTACK);
}

/* The place of the job's value in the table of extra fields. The place is never
 * empty, so that setting the value needs no memory: the job's own address as a
 * light userdata stands for nil. */
enum { EXTRA_VALUE = 1 };

/* [-1, +1, -] Replaces a nil on the top by what stands for it in the table of
 * the job at idx, an absolute index. */
static void wrap_nil(lua_State *L, int idx)
{
  if (!lua_isnil(L, -1))
    return;
  lua_pop(L, 1);
  lua_pushlightuserdata(L, lua_touserdata(L, idx));
}

/* [-1, +1, -] Replaces what stands for nil on the top by nil. */
static void unwrap_nil(lua_State *L, int idx)
{
  if (!lua_islightuserdata(L, -1) ||
      lua_touserdata(L, -1) != lua_touserdata(L, idx))
    return;
  lua_pop(L, 1);
  lua_pushnil(L);
}

void uj_ljob_get_value(lua_State *L, const struct uj_ljob *job, int idx)
{
  if (!job->has_extra) {
    lua_getiuservalue(L, idx, UJ_JOB_UV_VALUE);
    return;
  }
  idx = lua_absindex(L, idx);
  lua_getiuservalue(L, idx, UJ_JOB_UV_VALUE);
  lua_rawgeti(L, -1, EXTRA_VALUE);
  lua_remove(L, -2);
  unwrap_nil(L, idx);
}

void uj_ljob_set_value(lua_State *L, const struct uj_ljob *job, int idx)
{
  if (!job->has_extra) {
    lua_setiuservalue(L, idx, UJ_JOB_UV_VALUE);
    return;
  }
  idx = lua_absindex(L, idx);
  wrap_nil(L, idx);
  lua_getiuservalue(L, idx, UJ_JOB_UV_VALUE);
  lua_insert(L, -2);
  lua_rawseti(L, -2, EXTRA_VALUE);
  lua_pop(L, 1);
}

void uj_ljob_get_extra(lua_State *L, int idx, const char *field)
{
  const struct uj_ljob *job = uj_ljob_at(L, idx);
  if (!job->has_extra) {
    lua_pushnil(L);
    return;
  }
  lua_getiuservalue(L, idx, UJ_JOB_UV_VALUE);
  lua_getfield(L, -1, field);
  lua_remove(L, -2);
}

/* [-0, +0, m] Gives the job at idx, an absolute index, a table of extra fields.
 */
static void make_extra(lua_State *L, int idx, struct uj_ljob *job)
{
  lua_createtable(L, EXTRA_VALUE, 2);
  lua_getiuservalue(L, idx, UJ_JOB_UV_VALUE);
  wrap_nil(L, idx);
  lua_rawseti(L, -2, EXTRA_VALUE);
  lua_setiuservalue(L, idx, UJ_JOB_UV_VALUE);
  job->has_extra = true;
}

void uj_ljob_set_extra(lua_State *L, int idx, const char *field)
{
  struct uj_ljob *job = uj_ljob_at(L, idx);
  idx = lua_absindex(L, idx);
  if (!job->has_extra)
    make_extra(L, idx, job);
  lua_getiuservalue(L, idx, UJ_JOB_UV_VALUE);
  lua_insert(L, -2);
  lua_setfield(L, -2, field);
  lua_pop(L, 1);
}

/* [-0, +1, m] Pushes the name of the child whose run the job at idx is, or nil.
 */
static void push_child_name(lua_State *L, int idx)
{
  lua_getiuservalue(L, idx, UJ_JOB_UV_CHILD);
  lua_rawgeti(L, -1, UJ_CHILD_NAME);
  lua_remove(L, -2);
}

void uj_ljob_push_name(lua_State *L, int idx)
{
  const struct uj_ljob *job = uj_ljob_at(L, idx);
  uj_ljob_get_extra(L, idx, "name");
  if (job->is_child && lua_isnil(L, -1)) {
    lua_pop(L, 1);
    push_child_name(L, lua_absindex(L, idx));
  }
  if (lua_isboolean(L, -1)) { /* it has none */
    lua_pop(L, 1);
    lua_pushnil(L);
  }
}

uint64_t uj_ljob_child_limit_ns(struct uj_state *S, const struct uj_ljob *job,
                                enum uj_job_child which, uint64_t otherwise_ns)
{
  uint64_t limit_ns = otherwise_ns;
  if (!job->is_child)
    return limit_ns;
  uj_ljob_push(S, S->hub, job);
  if (lua_getiuservalue(S->hub, -1, which) == LUA_TNUMBER)
    limit_ns = uj_seconds_to_ns(lua_tonumber(S->hub, -1));
  lua_pop(S->hub, 2);
  return limit_ns;
}

uint64_t uj_ljob_close_ns(struct uj_state *S, const struct uj_ljob *job)
{
  uint64_t close_ns = job->core.sched->close_ns;
  if (uj_job_ended(&job->core)) /* it is not kept any more */
    return close_ns;
  return uj_ljob_child_limit_ns(S, job, UJ_JOB_UV_CLOSE, close_ns);
}

void uj_ljob_note_busy(struct uj_state *S, const struct uj_ljob *job)
{
  struct uj_sched *sched = job->core.sched;
  uint64_t now_ns = uj_loop_now(&S->loop);
  if (uj_ljob_is_held(S, job))
    return;
  uj_ljob_push(S, S->hub, job);
  uj_seconds_push(S->hub, now_ns);
  lua_setiuservalue(S->hub, -2, UJ_JOB_UV_HELD);
  lua_pop(S->hub, 1);
  if (sched->nheld++ == 0)
    sched->held_ns = now_ns;
}

bool uj_ljob_is_held(struct uj_state *S, const struct uj_ljob *job)
{
  bool is_held;
  uj_ljob_push(S, S->hub, job);
  is_held = lua_getiuservalue(S->hub, -1, UJ_JOB_UV_HELD) == LUA_TNUMBER;
  lua_pop(S->hub, 2);
  return is_held;
}

void uj_ljob_push_sched(lua_State *L, int idx)
{
  lua_getmetatable(L, idx);
  lua_rawgeti(L, -1, UJ_JOB_TYPE_SCHED);
  lua_remove(L, -2);
}

void uj_ljob_push_number_and_name(lua_State *L, int idx)
{
  const struct uj_ljob *job = uj_ljob_at(L, idx);
  uj_ljob_push_name(L, idx);
  if (lua_isnil(L, -1))
    lua_pushfstring(L, "#%I", (LUAI_UACINT)job->core.id);
  else
    lua_pushfstring(L, "#%I \"%s\"", (LUAI_UACINT)job->core.id,
                    lua_tostring(L, -1));
  lua_remove(L, -2);
}

void uj_ljob_push_label(lua_State *L, int idx)
{
  idx = lua_absindex(L, idx);
  lua_pushliteral(L, "job ");
  uj_ljob_push_number_and_name(L, idx);
  lua_concat(L, 2);
}
