#include "calendar/zone.h"

#include <stdlib.h>
#include <string.h>

#include "calendar/civil.h"
#include "calendar/rule.h"

#define MAX_SIZE ((size_t)1 << 20)
#define MAX_TYPES 256
#define MAX_NAMES 1024
#define HEADER_SIZE 44
#define TURN_DAYS 11 /* a week, and two days of offsets at each side */

/* One kind of local time in a zone. */
struct type {
  int32_t offset_s;
  bool is_dst;
  uint8_t name; /* index into uj_zone::names */
};

struct uj_zone {
  size_t count;       /* of transitions */
  int64_t *at_s;      /* the instants of the transitions, ascending */
  uint8_t *type_from; /* of each transition: the type that holds from it on */
  size_t ntypes;
  struct type types[MAX_TYPES]; /* the first one holds before all transitions */
  char names[MAX_NAMES + 1];
  bool has_rule; /* for what comes after the last transition */
  struct uj_rule rule;
};

/* ---- reading TZif ----------------------------------------------------------
 */

struct header {
  char version;
  size_t nisut, nisstd, nleap, ntransitions, ntypes, nchars;
};

/* The data, and how much of it has been read. */
struct reader {
  const uint8_t *data;
  size_t size;
  size_t at;
};

static bool has(const struct reader *reader, size_t size)
{
  return reader->size - reader->at >= size;
}

/* Reads a big-endian integer of `size` bytes, in two's complement. */
static int64_t read_int(struct reader *reader, size_t size)
{
  uint64_t value = reader->data[reader->at] & 0x80 ? UINT64_MAX : 0;
  for (size_t i = 0; i < size; i++)
    value = value << 8 | reader->data[reader->at++];
  return (int64_t)value;
}

static size_t read_count(struct reader *reader)
{
  return (size_t)(uint32_t)read_int(reader, 4);
}

static enum uj_zone_error read_header(struct reader *reader,
                                      struct header *header)
{
  if (!has(reader, HEADER_SIZE))
    return UJ_ZONE_TRUNCATED;
  if (memcmp(reader->data + reader->at, "TZif", 4) != 0)
    return UJ_ZONE_BROKEN;
  header->version = (char)reader->data[reader->at + 4];
  reader->at += 20; /* the magic, the version, and 15 unused bytes */
  header->nisut = read_count(reader);
  header->nisstd = read_count(reader);
  header->nleap = read_count(reader);
  header->ntransitions = read_count(reader);
  header->ntypes = read_count(reader);
  header->nchars = read_count(reader);
  return UJ_ZONE_OK;
}

/* The bytes of a data block, or SIZE_MAX when no file can be so large. */
static size_t block_size(const struct header *header, size_t time_size)
{
  if (header->nisut > MAX_SIZE || header->nisstd > MAX_SIZE ||
      header->nleap > MAX_SIZE || header->ntransitions > MAX_SIZE ||
      header->ntypes > MAX_SIZE || header->nchars > MAX_SIZE)
    return SIZE_MAX;
  return header->ntransitions * (time_size + 1) + header->ntypes * 6 +
         header->nchars + header->nleap * (time_size + 4) + header->nisstd +
         header->nisut;
}

/* Leap seconds are refused: with them instants are not those of the system. */
static bool is_sane(const struct header *header)
{
  return header->ntypes >= 1 && header->ntypes <= MAX_TYPES &&
         header->nchars >= 1 && header->nchars <= MAX_NAMES &&
         header->nleap == 0;
}

/* Whether the transitions are in order and lead to types that exist. */
static bool are_transitions_sane(const struct uj_zone *zone)
{
  for (size_t i = 0; i < zone->count; i++) {
    if (zone->type_from[i] >= zone->ntypes || zone->at_s[i] <= UJ_INSTANT_MIN ||
        zone->at_s[i] >= UJ_INSTANT_MAX ||
        (i > 0 && zone->at_s[i] <= zone->at_s[i - 1]))
      return false;
  }
  return true;
}

static bool are_types_sane(const struct uj_zone *zone, size_t nchars)
{
  for (size_t i = 0; i < zone->ntypes; i++) {
    const struct type *type = &zone->types[i];
    if (type->offset_s < -UJ_OFFSET_MAX_S || type->offset_s > UJ_OFFSET_MAX_S ||
        type->name >= nchars)
      return false;
  }
  return true;
}

static struct uj_zone *allocate(size_t ntransitions)
{
  struct uj_zone *zone =
      calloc(1, sizeof(*zone) + ntransitions * (sizeof(int64_t) + 1));
  if (zone == NULL)
    return NULL;
  zone->count = ntransitions;
  zone->at_s = (int64_t *)(void *)(zone + 1);
  zone->type_from = (uint8_t *)(zone->at_s + ntransitions);
  return zone;
}

/* Reads a data block that is there in full. */
static enum uj_zone_error read_block(struct reader *reader,
                                     const struct header *header,
                                     size_t time_size, struct uj_zone **result)
{
  struct uj_zone *zone = allocate(header->ntransitions);
  if (zone == NULL)
    return UJ_ZONE_NO_MEMORY;
  *result = zone;
  for (size_t i = 0; i < zone->count; i++)
    zone->at_s[i] = read_int(reader, time_size);
  for (size_t i = 0; i < zone->count; i++)
    zone->type_from[i] = reader->data[reader->at++];
  zone->ntypes = header->ntypes;
  for (size_t i = 0; i < zone->ntypes; i++) {
    zone->types[i].offset_s = (int32_t)read_int(reader, 4);
    zone->types[i].is_dst = reader->data[reader->at++] != 0;
    zone->types[i].name = reader->data[reader->at++];
  }
  memcpy(zone->names, reader->data + reader->at, header->nchars);
  reader->at += header->nchars + header->nisstd + header->nisut;
  return are_transitions_sane(zone) && are_types_sane(zone, header->nchars)
             ? UJ_ZONE_OK
             : UJ_ZONE_BROKEN;
}

/* Reads the footer: a newline, a TZ string that may be empty, a newline. */
static enum uj_zone_error read_footer(struct reader *reader,
                                      struct uj_zone *zone)
{
  const char *text = (const char *)reader->data + reader->at + 1;
  const char *end;
  if (!has(reader, 2))
    return UJ_ZONE_TRUNCATED;
  if (text[-1] != '\n')
    return UJ_ZONE_BROKEN;
  end = memchr(text, '\n', reader->size - reader->at - 1);
  if (end == NULL)
    return UJ_ZONE_TRUNCATED;
  zone->has_rule = end != text;
  if (zone->has_rule && !uj_rule_parse(&zone->rule, text, (size_t)(end - text)))
    return UJ_ZONE_BROKEN;
  return UJ_ZONE_OK;
}

/* Reads the header and the data that count: those of version 1 are skipped
 * where there are newer ones, which have times of 64 bits and a footer. */
static enum uj_zone_error read_zone(struct reader *reader,
                                    struct uj_zone **zone)
{
  struct header header;
  size_t time_size = 4, skipped;
  enum uj_zone_error error = read_header(reader, &header);
  if (error != UJ_ZONE_OK)
    return error;
  if (header.version >= '2') {
    skipped = block_size(&header, time_size);
    if (!has(reader, skipped))
      return UJ_ZONE_TRUNCATED;
    reader->at += skipped;
    time_size = 8;
    error = read_header(reader, &header);
    if (error != UJ_ZONE_OK)
      return error;
  }
  if (!has(reader, block_size(&header, time_size)))
    return UJ_ZONE_TRUNCATED;
  if (!is_sane(&header))
    return UJ_ZONE_BROKEN;
  error = read_block(reader, &header, time_size, zone);
  if (error != UJ_ZONE_OK || time_size == 4)
    return error;
  return read_footer(reader, *zone);
}

enum uj_zone_error uj_zone_new(struct uj_zone **zone, const void *data,
                               size_t size)
{
  struct reader reader = {data, size, 0};
  enum uj_zone_error error;
  *zone = NULL;
  if (size > MAX_SIZE)
    return UJ_ZONE_TOO_LARGE;
  error = read_zone(&reader, zone);
  if (error != UJ_ZONE_OK) {
    uj_zone_free(*zone);
    *zone = NULL;
  }
  return error;
}

struct uj_zone *uj_zone_new_fixed(int32_t offset_s, const char *name)
{
  struct uj_zone *zone = allocate(0);
  if (zone == NULL)
    return NULL;
  zone->ntypes = 1;
  zone->types[0].offset_s = offset_s;
  strncpy(zone->names, name, MAX_NAMES);
  return zone;
}

void uj_zone_free(struct uj_zone *zone)
{
  free(zone);
}

/* ---- looking up ------------------------------------------------------------
 */

/* How many transitions are not later than an instant. */
static size_t count_until(const struct uj_zone *zone, int64_t instant_s)
{
  size_t low = 0, high = zone->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (zone->at_s[middle] <= instant_s)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

/* Narrows a span that contains the instant by a change of the rule. */
static void narrow(struct uj_span *span, int64_t instant_s, int64_t change_s,
                   bool is_dst)
{
  if (change_s > instant_s) {
    if (change_s < span->end_s)
      span->end_s = change_s;
  } else if (change_s >= span->begin_s) {
    span->begin_s = change_s;
    span->is_dst = is_dst;
  }
}

/* A change is at most a week away from its year, and so the years that count
 * are those next to this one, and at the turn of a year the ones after them.
 * Where a year's end of daylight saving time is the next one's beginning, the
 * beginning counts. */
static void apply_rule(const struct uj_rule *rule, struct uj_span *span,
                       int64_t instant_s)
{
  struct uj_date date =
      uj_date_of_days(uj_floor_div(instant_s + rule->std_offset_s, UJ_DAY_S));
  int32_t first = date.year - 1 - (date.month == 1 && date.day <= TURN_DAYS);
  int32_t last =
      date.year + 1 + (date.month == 12 && date.day > 31 - TURN_DAYS);
  int64_t last_transition_s = span->begin_s;
  span->begin_s = UJ_INSTANT_MIN;
  span->is_dst = false;
  for (int32_t y = first; rule->has_dst && y <= last; y++) {
    narrow(span, instant_s, uj_rule_end_in(rule, y), false);
    narrow(span, instant_s, uj_rule_begin_in(rule, y), true);
  }
  if (span->begin_s < last_transition_s)
    span->begin_s = last_transition_s;
  span->offset_s = span->is_dst ? rule->dst_offset_s : rule->std_offset_s;
  span->name = span->is_dst ? rule->dst_name : rule->std_name;
}

struct uj_span uj_zone_span(const struct uj_zone *zone, int64_t instant_s)
{
  size_t i = count_until(zone, instant_s);
  const struct type *type = &zone->types[i > 0 ? zone->type_from[i - 1] : 0];
  struct uj_span span = {
      .begin_s = i > 0 ? zone->at_s[i - 1] : UJ_INSTANT_MIN,
      .end_s = i < zone->count ? zone->at_s[i] : UJ_INSTANT_MAX,
      .offset_s = type->offset_s,
      .is_dst = type->is_dst,
      .name = zone->names + type->name,
  };
  if (i == zone->count && zone->has_rule)
    apply_rule(&zone->rule, &span, instant_s);
  return span;
}

/* Takes into account how the wall clock jumps between two spans. */
static void look_at_jump(struct uj_local *local, int64_t local_s,
                         const struct uj_span *span, const struct uj_span *next)
{
  int64_t before_s = span->end_s + span->offset_s;
  int64_t after_s = span->end_s + next->offset_s;
  if (before_s <= local_s && local_s < after_s) { /* in a gap */
    if (local->count == 0)
      local->instant_s[0] = span->end_s;
    local->begin_s = before_s;
    local->end_s = after_s;
  } else if (after_s <= local_s && local_s < before_s) { /* in a fold */
    local->begin_s = after_s;
    local->end_s = before_s;
  }
}

struct uj_local uj_zone_resolve(const struct uj_zone *zone, int64_t local_s)
{
  struct uj_local local = {0, {local_s, local_s}, local_s, local_s + 1};
  struct uj_span span = uj_zone_span(zone, local_s - UJ_OFFSET_MAX_S);
  for (;;) {
    int64_t instant_s = local_s - span.offset_s;
    struct uj_span next;
    if (span.begin_s <= instant_s && instant_s < span.end_s && local.count < 2)
      local.instant_s[local.count++] = instant_s;
    if (span.end_s > local_s + UJ_OFFSET_MAX_S)
      return local;
    next = uj_zone_span(zone, span.end_s);
    look_at_jump(&local, local_s, &span, &next);
    span = next;
  }
}
