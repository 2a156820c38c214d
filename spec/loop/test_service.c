/* loop/service.h: every request is received once, every answer is heard once,
 * both in their order, whoever sleeps meanwhile. Meant for ThreadSanitizer and
 * helgrind, too. What is lost is a test that hangs. */
#include "check.h"

#include <stdatomic.h>

#include "core/clock.h"
#include "loop/driver.h"
#include "loop/service.h"

enum { REQUESTS = 10000, MOST_AT_ONCE = 8 };

static struct uj_driver *driver;
static struct uj_service *service;

static void open_driver(void)
{
  int error = uj_driver_new(&driver);
  if (error != 0) {
    printf("  %s\n", uj_driver_strerror(error));
    exit(1);
  }
}

static struct uj_message *new_message(uint64_t id)
{
  struct uj_message *message = uj_message_new(id, NULL, 0);
  if (message == NULL)
    abort();
  return message;
}

/* ---- in the thread ------------------------------------------------------- */

/* Answers all requests that are there. */
static void answer_all(struct uj_service *self, uint64_t *last)
{
  struct uj_message *request;
  while ((request = uj_service_receive(self)) != NULL) {
    CHECK_EQ(request->id, *last + 1);
    *last = request->id;
    uj_service_answer(self, request); /* it is a message like others */
  }
}

static void blocks(struct uj_service *self, void *arg)
{
  uint64_t last = 0;
  (void)arg;
  while (!uj_service_ends(self)) {
    (void)uj_service_wait(self, -1, 60000);
    answer_all(self, &last);
  }
}

/* As a thread of workers: it has a loop of its own. */
static void has_a_loop(struct uj_service *self, void *arg)
{
  struct uj_driver *inner = NULL;
  uint64_t last = 0;
  (void)arg;
  CHECK(uj_driver_new(&inner) == 0);
  uj_service_wake_driver(self, inner);
  while (!uj_service_ends(self)) {
    answer_all(self, &last);
    if (!uj_service_has_request(self) && !uj_service_ends(self))
      uj_driver_wait(inner, UJ_NEVER);
  }
  uj_service_wake_driver(self, NULL);
  uj_driver_free(inner);
}

/* ---- in the thread of the loop ------------------------------------------- */

static void take_answers(uint64_t *last)
{
  struct uj_message *answer;
  while ((answer = uj_service_take_answer(service)) != NULL) {
    CHECK_EQ(answer->id, *last + 1);
    *last = answer->id;
    uj_message_free(answer);
  }
}

/* Sends some requests at once, and waits until they are answered. */
static void converse(void (*run)(struct uj_service *, void *))
{
  uint64_t seed = 1, sent = 0, answered = 0;
  open_driver();
  CHECK(uj_service_start(&service, driver, run, NULL) == 0);
  while (answered < REQUESTS) {
    for (uint64_t n = check_below(&seed, MOST_AT_ONCE) + 1;
         n > 0 && sent < REQUESTS; n--)
      uj_service_send(service, new_message(++sent));
    if (check_below(&seed, 3) == 0)
      uj_driver_poll(driver);
    while (answered < sent) {
      if (!uj_service_has_answer(service))
        uj_driver_wait(driver, UJ_NEVER);
      take_answers(&answered);
    }
  }
  uj_service_end(service);
  uj_driver_free(driver);
}

static void answers_all(void)
{
  converse(blocks);
}

static void answers_all_from_a_loop(void)
{
  converse(has_a_loop);
}

static void is_ended(void (*run)(struct uj_service *, void *), bool is_told)
{
  open_driver();
  for (int i = 0; i < 200; i++) {
    CHECK(uj_service_start(&service, driver, run, NULL) == 0);
    for (uint64_t id = 1; id <= (uint64_t)i % 3; id++)
      uj_service_send(service, new_message(id));
    if (is_told)
      uj_service_finish(service);
    uj_service_end(service); /* what was not heard is freed */
  }
  uj_driver_free(driver);
}

static void ends_whatever_it_does(void)
{
  is_ended(blocks, false);
  is_ended(blocks, true);
  is_ended(has_a_loop, false);
  is_ended(has_a_loop, true);
}

static void gives_back_what_was_not_received(void)
{
  open_driver();
  CHECK(uj_service_start(&service, driver, blocks, NULL) == 0);
  for (uint64_t id = 1; id <= 1000; id++) {
    struct uj_message *back;
    uj_service_send(service, new_message(id));
    back = uj_service_withdraw(service, id);
    if (back != NULL) { /* the thread has not had it */
      CHECK_EQ(back->id, id);
      uj_service_send(service, back);
    }
  }
  CHECK(uj_service_withdraw(service, 1001) == NULL);
  uj_service_end(service);
  uj_driver_free(driver);
}

int main(void)
{
  static const struct check_test tests[] = {
      {"a thread that blocks answers every request", answers_all},
      {"a thread with a loop answers every request", answers_all_from_a_loop},
      {"a thread ends, with or without requests", ends_whatever_it_does},
      {"a request that was not received can be taken back",
       gives_back_what_was_not_received},
  };
  return CHECK_RUN(tests);
}
