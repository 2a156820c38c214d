#include "channel/process.h"

#include <pthread.h>
#include <stdatomic.h>

static atomic_uint nforks;

static void count_fork(void)
{
  nforks++;
}

static void watch_forks(void)
{
  pthread_atfork(NULL, NULL, count_fork);
}

unsigned uj_process_forks(void)
{
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, watch_forks);
  return atomic_load_explicit(&nforks, memory_order_relaxed);
}
