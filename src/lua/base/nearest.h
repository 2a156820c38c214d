/* Which of the known names was meant by a name that is not known. */
#ifndef UJ_LUA_NEAREST_H
#define UJ_LUA_NEAREST_H

#include <stddef.h>

/* How many characters have to be added, removed or replaced to make one name of
 * the other. Names that are very long are all equally far. */
size_t uj_nearest_distance(const char *from, const char *to);

#endif
