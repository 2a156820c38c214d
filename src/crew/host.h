/* What a crew needs of the loop of a member: see crew.h. */
#ifndef UJ_CREW_HOST_H
#define UJ_CREW_HOST_H

#include <stdbool.h>

/* How a crew stands. */
enum uj_crew_verdict {
  UJ_CREW_GOES_ON,
  UJ_CREW_IS_STUCK,  /* all members wait for each other */
  UJ_CREW_IS_LIMITED /* but for limits, which end waits in vain */
};

/* What a member that waits has besides news of others. */
enum uj_member_limits {
  UJ_MEMBER_HAS_NONE,
  UJ_MEMBER_HAS_LIMITS, /* nothing but limits, which end waits in vain */
  UJ_MEMBER_HAS_TOLD    /* the same; and the founder has told of them */
};

struct uj_member_host {
  /* Whether another member has sent something that the loop has not heard. It
   * is called in any thread, while the member rests or has no turn. */
  bool (*has_news)(void *arg);
  /* Ends a wait of the loop. Called in any thread. NULL: it never waits for
   * anything but a turn, and cannot tell of jobs. */
  void (*wake)(void *arg);
  void *arg;
};

#endif
