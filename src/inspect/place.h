/* Where the socket of a process is, by which others ask it.
 *
 * It is in a directory that only its user can enter: `uvjobs` in
 * $XDG_RUNTIME_DIR or in /run/user/UID, or else /tmp/uvjobs-UID. Its name has
 * the number of the process and when that was started, so that it cannot be
 * taken for the socket of another process with the same number. */
#ifndef UJ_INSPECT_PLACE_H
#define UJ_INSPECT_PLACE_H

enum { UJ_PLACE_SIZE = 108 /* the longest path of a socket, and its end */ };

/* Makes the directory if need be. Returns 0, or a negative errno when there is
 * none to be had. */
int uj_place_find(char path[UJ_PLACE_SIZE]);

#endif
