"""Prints where Python's zoneinfo has the changes of time zones, for oracle.lua:
lines of a zone, an instant in seconds since 1970, and the offsets before it and
from it on, in seconds. From 1970 to 2039. With arguments, of these zones only."""
import datetime
import sys
import zoneinfo

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
STEP = 6 * 3600  # no two changes of any zone are so near
END = 70 * 365 * 86400
STAMPS = [EPOCH + datetime.timedelta(seconds=s) for s in range(0, END, STEP)]


def offset(zone, seconds):
    return (EPOCH + datetime.timedelta(seconds=seconds)).astimezone(zone).utcoffset()


def change(zone, low, high):
    """The instant in (low, high] at which the offset of `high` begins."""
    after = offset(zone, high)
    while high - low > 1:
        middle = (low + high) // 2
        if offset(zone, middle) == after:
            high = middle
        else:
            low = middle
    return high


names = sys.argv[1:] or sorted(zoneinfo.available_timezones())
for name in names:
    zone = zoneinfo.ZoneInfo(name)
    before = STAMPS[0].astimezone(zone).utcoffset()
    for i in range(1, len(STAMPS)):
        after = STAMPS[i].astimezone(zone).utcoffset()
        if after != before:
            at = change(zone, (i - 1) * STEP, i * STEP)
            print(name, at, int(before.total_seconds()), int(after.total_seconds()))
            before = after
