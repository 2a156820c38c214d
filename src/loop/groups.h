/* Process groups that end with this process.
 *
 * A second signal ends the process at once, and then nobody is left to end its
 * children. Those of a terminal have had the signal, too; those that lead
 * groups of their own have not, and would go on for ever. So who starts one
 * says so here, and the handler of the signal ends them. */
#ifndef UJ_LOOP_GROUPS_H
#define UJ_LOOP_GROUPS_H

#include <stdbool.h>

/* From now on uj_groups_kill() ends this group. Returns false without memory.
 */
bool uj_groups_add(int group);
/* It does so no longer. */
void uj_groups_remove(int group);
/* Sends SIGKILL to the groups that this process has added, but not to those
 * that its parent had added before a fork. May be called in a signal handler.
 */
void uj_groups_kill(void);

#endif
