#include "measure/chrome.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* No event is longer than this. */
enum { EVENT_ROOM = 512, MOST_NAMES = 4096, SLOTS = 2 * MOST_NAMES };

static const char foot[] = "\n]\n";
enum { FOOT = sizeof(foot) - 1 };

static void stop_writing(struct uj_chrome *self)
{
  if (self->fd >= 0)
    (void)close(self->fd);
  self->fd = -1;
}

/* ---- text ---------------------------------------------------------------- */

/* Begins an event. Returns where it is to be written, or NULL when nothing is
 * written any more. */
static char *begin(struct uj_chrome *self)
{
  if (self->fd < 0)
    return NULL;
  if (self->used > UJ_CHROME_BUFFER - EVENT_ROOM)
    uj_chrome_flush(self);
  return self->fd < 0 ? NULL : self->buffer + self->used;
}

/* Ends an event, which reaches to `at`. One that the limit has no room for is
 * not written, and none after it. */
static void end(struct uj_chrome *self, const char *at)
{
  size_t used = (size_t)(at - self->buffer);
  if (self->end + used + FOOT > self->limit) {
    self->full = true;
    uj_chrome_flush(self);
    stop_writing(self);
    return;
  }
  self->used = used;
  self->events++;
}

static char *add_bytes(char *at, const char *bytes, size_t length)
{
  memcpy(at, bytes, length);
  return at + length;
}

#define ADD(at, literal) add_bytes(at, literal, sizeof(literal) - 1)

static char *add_text(char *at, const char *text)
{
  return add_bytes(at, text, strlen(text));
}

static char *add_number(char *at, uint64_t number)
{
  static const char pairs[] =
      "0001020304050607080910111213141516171819202122232425262728293031323334"
      "3536373839404142434445464748495051525354555657585960616263646566676869"
      "707172737475767778798081828384858687888990919293949596979899";
  char digits[20];
  size_t n = sizeof(digits);
  for (; number >= 100; number /= 100) {
    n -= 2;
    memcpy(digits + n, pairs + 2 * (number % 100), 2);
  }
  digits[--n] = pairs[2 * number + 1];
  if (number >= 10)
    digits[--n] = pairs[2 * number];
  return add_bytes(at, digits + n, sizeof(digits) - n);
}

/* Microseconds with three digits behind the point. */
static char *add_us(char *at, uint64_t ns)
{
  unsigned rest = (unsigned)(ns % 1000);
  at = add_number(at, ns / 1000);
  *at++ = '.';
  *at++ = (char)('0' + rest / 100);
  *at++ = (char)('0' + rest / 10 % 10);
  *at++ = (char)('0' + rest % 10);
  return at;
}

/* All events begin with the same, but for their phase. */
enum { PHASE_AT = sizeof(",\n{\"ph\":\"") - 1 };

static void make_head(struct uj_chrome *self)
{
  char *at = self->head;
  at = ADD(at, ",\n{\"ph\":\" \",\"pid\":");
  at = add_number(at, (uint64_t)self->pid);
  at = ADD(at, ",\"tid\":1,\"ts\":");
  self->head_length = (size_t)(at - self->head);
}

/* What each event begins with: up to its time. */
static char *add_head(const struct uj_chrome *self, char *at, char phase,
                      uint64_t now_ns)
{
  memcpy(at, self->head, sizeof(self->head));
  at[PHASE_AT] = phase;
  at += self->head_length;
  return add_us(at, now_ns > self->begin_ns ? now_ns - self->begin_ns : 0);
}

static char *add_name(const struct uj_chrome *self, char *at, uint32_t number)
{
  const struct uj_chrome_name *name = &self->names.list[number];
  at = ADD(at, ",\"name\":\"");
  at = add_bytes(at, name->text, name->length);
  *at++ = '"';
  return at;
}

/* ---- names --------------------------------------------------------------- */

/* The bytes of a sequence of UTF-8 at the beginning of the text; 0 if there is
 * none. Forms that are too long and surrogates are let pass. */
static size_t utf8_length(const char *text, size_t length)
{
  unsigned char first = (unsigned char)*text;
  size_t n = first < 0x80                    ? 1
             : first >= 0xc2 && first < 0xe0 ? 2
             : first >= 0xe0 && first < 0xf0 ? 3
             : first >= 0xf0 && first < 0xf5 ? 4
                                             : 0;
  if (n == 0 || n > length)
    return 0;
  for (size_t i = 1; i < n; i++)
    if (((unsigned char)text[i] & 0xc0) != 0x80)
      return 0;
  return n;
}

/* Makes a string of JSON, without quotes, of as much as there is room for. */
static size_t escape(char *into, const char *text, size_t length)
{
  size_t used = 0;
  while (length > 0 && used + 4 <= UJ_CHROME_NAME) {
    size_t n = utf8_length(text, length);
    unsigned char byte = (unsigned char)*text;
    if (n == 0 || byte < 0x20 || byte == 0x7f)
      into[used++] = '?';
    else if (byte == '"' || byte == '\\') {
      into[used++] = '\\';
      into[used++] = (char)byte;
    } else {
      memcpy(into + used, text, n);
      used += n;
    }
    n = n == 0 ? 1 : n;
    text += n;
    length -= n;
  }
  return used;
}

/* FNV-1a */
static uint32_t hash_of(const char *text, size_t length)
{
  uint32_t hash = UINT32_C(2166136261);
  for (size_t i = 0; i < length; i++)
    hash = (hash ^ (unsigned char)text[i]) * UINT32_C(16777619);
  return hash;
}

/* There is room for all names from the beginning on, since another thread may
 * read them meanwhile; the system has only those pages of it that are used. */
static bool make_names(struct uj_chrome_names *names)
{
  names->list = calloc(MOST_NAMES, sizeof(*names->list));
  names->slots = calloc(SLOTS, sizeof(*names->slots));
  return names->list != NULL && names->slots != NULL;
}

/* The slot of the name, or the free one where it belongs. */
static uint32_t *find_slot(const struct uj_chrome_names *names,
                           const char *text, size_t length, uint32_t hash)
{
  uint32_t at = hash % SLOTS;
  for (; names->slots[at] != 0; at = (at + 1) % SLOTS) {
    const struct uj_chrome_name *name = &names->list[names->slots[at] - 1];
    if (name->hash == hash && name->length == length &&
        memcmp(name->text, text, length) == 0)
      break;
  }
  return &names->slots[at];
}

uint32_t uj_chrome_name(struct uj_chrome *self, const char *text, size_t length)
{
  struct uj_chrome_names *names = &self->names;
  char escaped[UJ_CHROME_NAME];
  uint32_t hash, *slot;
  struct uj_chrome_name *name;
  length = escape(escaped, text, length);
  hash = hash_of(escaped, length);
  slot = find_slot(names, escaped, length, hash);
  if (*slot != 0)
    return *slot - 1;
  if (names->count >= MOST_NAMES)
    return 0;
  name = &names->list[names->count++];
  name->hash = hash;
  name->length = (uint8_t)length;
  memcpy(name->text, escaped, length);
  *slot = names->count;
  return names->count - 1;
}

static void free_names(struct uj_chrome_names *names)
{
  free(names->list);
  free(names->slots);
  *names = (struct uj_chrome_names){.list = NULL};
}

/* ---- the file ------------------------------------------------------------ */

/* Returns 0 or an errno. */
static int write_at(int fd, const char *bytes, size_t length, uint64_t offset)
{
  while (length > 0) {
    ssize_t n = pwrite(fd, bytes, length, (off_t)offset);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return n < 0 ? errno : EIO;
    bytes += n;
    length -= (size_t)n;
    offset += (uint64_t)n;
  }
  return 0;
}

/* The first line has no comma in front, so it is a piece of metadata, which is
 * always there. */
static int write_first(struct uj_chrome *self)
{
  static const char head[] = "[\n{\"ph\":\"M\",\"pid\":";
  static const char tail[] = ",\"tid\":1,\"name\":\"thread_name\","
                             "\"args\":{\"name\":\"jobs\"}}";
  char *at = self->buffer;
  at = ADD(at, head);
  at = add_number(at, (uint64_t)self->pid);
  at = ADD(at, tail);
  self->end = (uint64_t)(at - self->buffer);
  at = ADD(at, foot);
  return write_at(self->fd, self->buffer, (size_t)(at - self->buffer), 0);
}

int uj_chrome_open(struct uj_chrome *self, const char *path, uint64_t limit,
                   uint64_t begin_ns)
{
  int error;
  memset(self, 0, offsetof(struct uj_chrome, buffer));
  self->pid = (int)getpid();
  self->begin_ns = begin_ns;
  self->limit = limit;
  self->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (self->fd < 0)
    return errno;
  make_head(self);
  error = write_first(self);
  if (error == 0 &&
      (!make_names(&self->names) || uj_chrome_name(self, "job", 3) != 0))
    error = ENOMEM;
  if (error != 0) {
    stop_writing(self);
    free_names(&self->names);
  }
  return error;
}

/* A write has failed: of what was begun nothing is kept, and the bracket comes
 * back. It needs no room that the file did not have before. */
static void fail(struct uj_chrome *self, int error)
{
  self->error = error;
  if (ftruncate(self->fd, (off_t)self->end) == 0)
    (void)write_at(self->fd, foot, FOOT, self->end);
  stop_writing(self);
}

void uj_chrome_flush(struct uj_chrome *self)
{
  char *at = self->buffer + self->used;
  int error;
  if (self->fd < 0 || self->used == 0)
    return;
  if ((int)getpid() != self->pid) {
    stop_writing(self);
    return;
  }
  at = ADD(at, foot); /* there is always room */
  error =
      write_at(self->fd, self->buffer, (size_t)(at - self->buffer), self->end);
  if (error != 0) {
    fail(self, error);
    return;
  }
  self->end += self->used;
  self->used = 0;
}

void uj_chrome_close(struct uj_chrome *self)
{
  uj_chrome_flush(self);
  stop_writing(self);
  free_names(&self->names);
}

uint64_t uj_chrome_size(const struct uj_chrome *self)
{
  return self->end + self->used + FOOT;
}

/* ---- events -------------------------------------------------------------- */

/* The next slice begins when this one ends. Viewers that compute the end of a
 * slice in floating point would find that the two overlap: so it ends one
 * nanosecond before. */
static uint64_t duration(uint64_t begin_ns, uint64_t end_ns)
{
  return end_ns > begin_ns ? end_ns - begin_ns - 1 : 0;
}

void uj_chrome_slice(struct uj_chrome *self, uint32_t name, uint64_t job,
                     uint64_t begin_ns, uint64_t end_ns)
{
  char *at = begin(self);
  if (at == NULL)
    return;
  if (begin_ns < self->begin_ns)
    begin_ns = self->begin_ns;
  at = add_head(self, at, 'X', begin_ns);
  at = ADD(at, ",\"dur\":");
  at = add_us(at, duration(begin_ns, end_ns));
  at = add_name(self, at, name);
  at = ADD(at, ",\"args\":{\"job\":");
  at = add_number(at, job);
  at = ADD(at, "}}");
  end(self, at);
}

static char *add_arrow(const struct uj_chrome *self, char *at, char phase,
                       const char *what, uint64_t now_ns)
{
  at = add_head(self, at, phase, now_ns);
  at = ADD(at, ",\"id\":");
  at = add_number(at, self->flows);
  at = ADD(at, ",\"cat\":\"");
  at = add_text(at, what);
  at = ADD(at, "\",\"name\":\"");
  at = add_text(at, what);
  *at++ = '"';
  return at;
}

void uj_chrome_arrow(struct uj_chrome *self, const char *what, uint64_t from_ns,
                     uint64_t to_ns)
{
  char *at = begin(self);
  if (at == NULL)
    return;
  self->flows++;
  at = add_arrow(self, at, 's', what, from_ns);
  at = ADD(at, "}");
  at = add_arrow(self, at, 'f', what, to_ns);
  at = ADD(at, ",\"bp\":\"e\"}");
  self->events++;
  end(self, at);
}

static char *add_job(const struct uj_chrome *self, char *at, char phase,
                     uint32_t name, uint64_t job, uint64_t now_ns)
{
  at = add_head(self, at, phase, now_ns);
  at = ADD(at, ",\"cat\":\"job\",\"id\":");
  at = add_number(at, job);
  return add_name(self, at, name);
}

void uj_chrome_begin_job(struct uj_chrome *self, uint32_t name, uint64_t job,
                         uint64_t parent, uint64_t now_ns)
{
  char *at = begin(self);
  if (at == NULL)
    return;
  at = add_job(self, at, 'b', name, job, now_ns);
  at = ADD(at, ",\"args\":{\"parent\":");
  at = add_number(at, parent);
  at = ADD(at, "}}");
  end(self, at);
}

void uj_chrome_end_job(struct uj_chrome *self, uint32_t name, uint64_t job,
                       const char *state, uint64_t now_ns)
{
  char *at = begin(self);
  if (at == NULL)
    return;
  at = add_job(self, at, 'e', name, job, now_ns);
  at = ADD(at, ",\"args\":{\"state\":\"");
  at = add_text(at, state);
  at = ADD(at, "\"}}");
  end(self, at);
}

void uj_chrome_count(struct uj_chrome *self, uint64_t ready, uint64_t live,
                     uint64_t now_ns)
{
  char *at = begin(self);
  if (at == NULL)
    return;
  at = add_head(self, at, 'C', now_ns);
  at = ADD(at, ",\"name\":\"jobs\",\"args\":{\"ready\":");
  at = add_number(at, ready);
  at = ADD(at, ",\"live\":");
  at = add_number(at, live);
  at = ADD(at, "}}");
  end(self, at);
}
