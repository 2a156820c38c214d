"""Prints what Python's zoneinfo says of time zones, for zones_spec.lua:
lines of a zone, seconds since 1970, and the local time there. The seconds are
those before and at each change of the offset from 1970 to 2040, and some at
random up to 2199. With arguments, of these zones only."""
import datetime
import random
import sys
import zoneinfo

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
STEP = 4 * 86400
END = 70 * 365 * 86400


def local(zone, seconds):
    return (EPOCH + datetime.timedelta(seconds=seconds)).astimezone(zone)


def changes(zone):
    """The seconds at which the offset changes, by halving spans of four days."""
    before = local(zone, 0).utcoffset()
    for end in range(STEP, END, STEP):
        after = local(zone, end).utcoffset()
        if after != before:
            low, high = end - STEP, end
            while high - low > 1:
                middle = (low + high) // 2
                if local(zone, middle).utcoffset() == before:
                    low = middle
                else:
                    high = middle
            yield high
        before = after


names = sys.argv[1:] or sorted(zoneinfo.available_timezones())
source = random.Random(1)
for name in names:
    zone = zoneinfo.ZoneInfo(name)
    seconds = {s for change in changes(zone) for s in (change - 1, change)}
    seconds |= {source.randrange(7258118400) for _ in range(20)}
    for s in sorted(seconds):
        print(name, s, local(zone, s).strftime("%Y-%m-%d %H:%M:%S %Z"))
