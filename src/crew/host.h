/* What a crew needs of the loop of a member: see crew.h. */
#ifndef UJ_CREW_HOST_H
#define UJ_CREW_HOST_H

#include <stdbool.h>

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
