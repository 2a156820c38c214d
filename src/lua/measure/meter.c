#include "lua/measure/meter.h"

#include "lua/engine/hook.h"

/* So long after the last comparison the counter is not trusted any more: the
 * process may have been stopped, or moved to another machine. */
#define TRUSTED_NS UINT64_C(100000000)

/* The two are compared over so long at least. Reading both takes some 50 ns,
 * so the rate is known to some parts in ten thousand then, and soon better. */
#define LEAST_NS UINT64_C(200000)

static void anchor(struct uj_meter *meter, uint64_t now_ns)
{
  uint64_t ticks = meter->ticks = uj_driver_ticks();
  uint64_t span_ns = now_ns - meter->base_ns;
  uint64_t span_ticks = ticks - meter->base_ticks;
  if (span_ns >= LEAST_NS && span_ticks > 0) {
    double ns_per_tick = (double)span_ns / (double)span_ticks;
    /* So no product of the two has more than 2^59 in it. */
    meter->scale = (uint64_t)(ns_per_tick * 4294967296.0);
    meter->trusted_ticks = (uint64_t)((double)TRUSTED_NS / ns_per_tick);
  }
  meter->anchor_ns = now_ns;
  meter->anchor_ticks = ticks;
}

void uj_meter_init(struct uj_state *S, lua_State *L,
                   const struct uj_host *plain)
{
  struct uj_meter *meter = S->meter;
  meter->plain = plain;
  meter->host = *plain;
  meter->base_ns = uj_driver_now();
  meter->base_ticks = uj_driver_ticks();
  lua_pushnil(L);
  meter->longest_job = uj_hub_keep(S->hub, L);
}

static uint64_t pass(struct uj_meter *meter, uint64_t now_ns)
{
  if (now_ns > meter->now_ns)
    meter->now_ns = now_ns;
  return meter->now_ns;
}

uint64_t uj_meter_compare(struct uj_state *S)
{
  anchor(S->meter, uj_driver_now());
  return pass(S->meter, S->meter->anchor_ns);
}

uint64_t uj_meter_about(struct uj_state *S)
{
  struct uj_meter *meter = S->meter;
  if (S->is_virtual)
    return S->virtual_ns;
  if (meter->exact || !meter->fresh || S->hook->mode != UJ_INTERRUPT_SIGNAL)
    return uj_meter_read_real(S);
  return pass(meter,
              atomic_load_explicit(&S->watch.look_ns, memory_order_relaxed));
}

void uj_meter_note(struct uj_state *S, uint64_t now_ns, bool fresh)
{
  S->meter->fresh = fresh;
  anchor(S->meter, now_ns);
  (void)pass(S->meter, now_ns);
}

void uj_meter_note_longest(struct uj_state *S, const struct uj_ljob *job,
                           uint64_t span_ns)
{
  S->meter->longest_ns = span_ns;
  uj_ljob_push(S, S->hub, job);
  lua_replace(S->hub, S->meter->longest_job);
}

void uj_meter_forget_longest(struct uj_state *S)
{
  S->meter->longest_ns = 0;
  uj_hub_clear(S->hub, S->meter->longest_job);
}

void uj_meter_birth(struct uj_state *S, struct uj_ljob *job)
{
  struct uj_times *times = uj_times_of(job);
  *times = (struct uj_times){.since_ns = uj_meter_about(S)};
  job->core.timed = true;
}
