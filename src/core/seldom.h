/* UJ_SELDOM marks a function that few programs call, on a way that all of them
 * go. It is never inlined there: so the others pay for a comparison, and not
 * for the registers that it would need. UJ_APART is the same for one that those
 * few call all the time: the compiler makes it fast instead of small. UJ_OFTEN
 * is the contrary: what is always inlined. */
#ifndef UJ_CORE_SELDOM_H
#define UJ_CORE_SELDOM_H

#ifdef __GNUC__
#define UJ_SELDOM __attribute__((noinline, cold))
#define UJ_APART __attribute__((noinline))
#define UJ_OFTEN __attribute__((always_inline))
#else
#define UJ_SELDOM
#define UJ_APART
#define UJ_OFTEN
#endif

#endif
