"""The next times of cron patterns, and reading them, by croniter:
python3 cron.py next|parse N PATTERN ZONE
prints the CPU time for each in nanoseconds, and a check sum."""
import datetime
import sys
import time
import zoneinfo

import croniter

side, n, pattern, name = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
zone = zoneinfo.ZoneInfo(name)
begin = datetime.datetime.fromtimestamp(1767225600, zone)
second, *fields = pattern.split()
pattern = " ".join([*fields, second])  # croniter has the seconds at the end


def next_times():
    total = 0
    made = croniter.croniter(pattern, begin)
    for i in range(1, n + 1):
        total += int(made.get_next(float))
        if i % 10 == 0:
            made.set_current(begin)
    return total


def parse():
    made = None
    for _ in range(n):
        made = croniter.croniter(pattern, begin)
    return int(made.get_next(float))


before = time.process_time()
total = next_times() if side == "next" else parse()
print(f"{(time.process_time() - before) * 1e9 / n:.1f} {total}")
