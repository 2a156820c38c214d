/* When jobs were born, without a clock reading for each.
 *
 * The numbers of jobs only grow. So a few samples of the last number, with the
 * time of each, say between which two times any job was born. A driver takes a
 * sample whenever it knows the time anyway. When there is no room for one more,
 * those are dropped that matter least beside the age that they give: so the
 * samples get sparser with age, and an age is known to about one part in
 * twenty, and better in programs that have not run for long. */
#ifndef UJ_LUA_INSIGHT_AGES_H
#define UJ_LUA_INSIGHT_AGES_H

#include <stdint.h>

enum { UJ_AGES_ROOM = 512 };

struct uj_ages {
  struct uj_ages_sample {
    uint64_t last_id; /* of the jobs that there had been */
    uint64_t time_ns; /* the latest at which that was so */
  } samples[UJ_AGES_ROOM];
  uint32_t count;
};

/* Forgets all samples: another clock begins. */
void uj_ages_clear(struct uj_ages *ages);

/* At `now_ns` the last number was `last_id`. Neither is less than before. */
void uj_ages_note(struct uj_ages *ages, uint64_t last_id, uint64_t now_ns);

/* A time before which the job with this number was not there, as late as is
 * known; UJ_NEVER when nothing is known. */
uint64_t uj_ages_born(const struct uj_ages *ages, uint64_t id);

#endif
