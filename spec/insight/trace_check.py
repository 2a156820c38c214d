"""Checks a trace in the array form of Chrome's format: reads the name of a file,
and prints how many events of each phase there are, or raises."""
import collections
import json
import sys

FIELDS = {
    "M": {"name", "args"},
    "X": {"ts", "dur", "name", "args"},
    "b": {"ts", "cat", "id", "name", "args"},
    "e": {"ts", "cat", "id", "name", "args"},
    "s": {"ts", "cat", "id", "name"},
    "f": {"ts", "cat", "id", "name", "bp"},
    "C": {"ts", "name", "args"},
}

text = open(sys.argv[1], encoding="utf-8").read()
events = json.loads(text)
assert len(text.splitlines()) == len(events) + 2, "an event is not on one line"
for event in events:
    assert set(event) == FIELDS[event["ph"]] | {"ph", "pid", "tid"}, event
    assert event.get("ts", 0) >= 0 and event.get("dur", 0) >= 0, event

# Slices of one thread must not overlap, either where their ends are computed in
# floating point, as speedscope does.
end = 0
for event in sorted((e for e in events if e["ph"] == "X"), key=lambda e: e["ts"]):
    assert event["ts"] >= end, event
    end = event["ts"] + event["dur"]

jobs = {}
for event in sorted((e for e in events if e["ph"] in "be"),
                    key=lambda e: (e["ts"], e["ph"])):
    begun = jobs.setdefault(event["id"], [])
    assert (event["ph"] == "e") == (begun == ["b"]), event
    begun.append(event["ph"])

arrows = collections.defaultdict(dict)
for event in events:
    if event["ph"] in "sf":
        assert event["ph"] not in arrows[event["id"]], event
        arrows[event["id"]][event["ph"]] = event["ts"]
for ends in arrows.values():
    assert set(ends) == {"s", "f"} and ends["s"] <= ends["f"] + 0.0011, ends

counts = collections.Counter(event["ph"] for event in events)
print(" ".join("%s=%d" % pair for pair in sorted(counts.items())))
