/* UJ_SELDOM marks a function that few programs call, on a way that all of them
 * go. It is never inlined there: so the others pay for a comparison, and not
 * for the registers that it would need. */
#ifndef UJ_CORE_SELDOM_H
#define UJ_CORE_SELDOM_H

#ifdef __GNUC__
#define UJ_SELDOM __attribute__((noinline, cold))
#else
#define UJ_SELDOM
#endif

#endif
