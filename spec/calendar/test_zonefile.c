/* calendar/zonefile.h: zones that follow their files. */
#define _POSIX_C_SOURCE 200809L

#include "check.h"

#include <sys/stat.h>
#include <unistd.h>

#include "calendar/zonefile.h"
#include "tzif.h"

static char path[64], other[64];

static void write_file(const char *name, const void *data, size_t size)
{
  FILE *file = fopen(name, "wb");
  CHECK(file != NULL && fwrite(data, 1, size, file) == size);
  CHECK(file != NULL && fclose(file) == 0);
}

/* A zone of one offset, as a file. */
static void write_zone(const char *name, int32_t offset_s)
{
  struct tzif_zone zone = {.offset_s = {offset_s}, .footer = ""};
  struct tzif tzif;
  tzif_build(&tzif, '2', &zone);
  write_file(name, tzif.data, tzif.size);
}

/* As package managers do it: the new file takes the place of the old one. */
static void replace(int32_t offset_s)
{
  write_zone(other, offset_s);
  CHECK_EQ(rename(other, path), 0);
}

static int32_t offset_of(const struct uj_zonefile *file)
{
  return uj_zone_span(file->zone, 0).offset_s;
}

static void follows_its_file(void)
{
  struct uj_zonefile file;
  const struct uj_zone *before;
  write_zone(path, 3600);
  CHECK_EQ(uj_zonefile_open(&file, path), UJ_ZONEFILE_OK);
  before = file.zone;
  uj_zonefile_refresh(&file, path);
  CHECK(file.zone == before); /* it has not been read again */
  replace(7200);
  CHECK_EQ(offset_of(&file), 3600);
  uj_zonefile_refresh(&file, path);
  CHECK_EQ(offset_of(&file), 7200);
  uj_zonefile_close(&file);
  CHECK(file.zone == NULL);
}

static void keeps_what_it_has(void)
{
  struct uj_zonefile file;
  write_zone(path, 3600);
  CHECK_EQ(uj_zonefile_open(&file, path), UJ_ZONEFILE_OK);
  write_file(path, "TZif2 and no more", 17);
  uj_zonefile_refresh(&file, path);
  CHECK_EQ(offset_of(&file), 3600);
  CHECK_EQ(unlink(path), 0);
  uj_zonefile_refresh(&file, path);
  CHECK_EQ(offset_of(&file), 3600);
  CHECK_EQ(mkdir(path, 0700), 0);
  uj_zonefile_refresh(&file, path);
  CHECK_EQ(offset_of(&file), 3600);
  CHECK_EQ(rmdir(path), 0);
  replace(-3600);
  uj_zonefile_refresh(&file, path);
  CHECK_EQ(offset_of(&file), -3600);
  uj_zonefile_close(&file);
}

static void refuses_what_is_no_zone(void)
{
  static char blanks[(1 << 20) + 100];
  struct uj_zonefile file;
  (void)unlink(path); /* of the tests before */
  CHECK_EQ(uj_zonefile_open(&file, path), UJ_ZONEFILE_UNREADABLE);
  CHECK_EQ(mkdir(path, 0700), 0);
  CHECK_EQ(uj_zonefile_open(&file, path), UJ_ZONEFILE_UNREADABLE);
  CHECK_EQ(rmdir(path), 0);
  CHECK_EQ(mkfifo(path, 0600), 0); /* nobody writes into it: it must not wait */
  CHECK_EQ(uj_zonefile_open(&file, path), UJ_ZONEFILE_UNREADABLE);
  CHECK_EQ(unlink(path), 0);
  write_file(path, "", 0);
  CHECK_EQ(uj_zonefile_open(&file, path), UJ_ZONEFILE_BROKEN);
  write_zone(path, 3600);
  CHECK_EQ(truncate(path, 60), 0);
  CHECK_EQ(uj_zonefile_open(&file, path), UJ_ZONEFILE_BROKEN);
  write_file(path, blanks, sizeof blanks);
  CHECK_EQ(uj_zonefile_open(&file, path), UJ_ZONEFILE_BROKEN);
  CHECK(file.zone == NULL);
}

int main(void)
{
  static const struct check_test tests[] = {
      {"a zone follows its file when that is replaced #R15", follows_its_file},
      {"a zone keeps its rules when its file is damaged or gone #R15",
       keeps_what_it_has},
      {"files that are no zones are refused", refuses_what_is_no_zone},
  };
  char dir[] = "/tmp/zonefileXXXXXX";
  int status;
  if (mkdtemp(dir) == NULL)
    return 2;
  snprintf(path, sizeof path, "%s/zone", dir);
  snprintf(other, sizeof other, "%s/other", dir);
  status = CHECK_RUN(tests);
  unlink(path);
  unlink(other);
  rmdir(dir);
  return status;
}
