"""Checks a request of OTLP in JSON: reads the name of a file, and prints how many
spans it has, or raises. The names and types are those of opentelemetry-proto 1.x:
collector/trace/v1, trace/v1, resource/v1 and common/v1. Numbers of 64 bits are
strings, ids are hexadecimal, enums are integers, as
https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding says."""
import json
import re
import sys

MESSAGES = {
    "ExportTraceServiceRequest": {"resourceSpans": ["ResourceSpans"]},
    "ResourceSpans": {"resource": "Resource", "scopeSpans": ["ScopeSpans"], "schemaUrl": str},
    "Resource": {"attributes": ["KeyValue"], "droppedAttributesCount": int},
    "ScopeSpans": {"scope": "InstrumentationScope", "spans": ["Span"], "schemaUrl": str},
    "InstrumentationScope": {"name": str, "version": str, "attributes": ["KeyValue"],
                             "droppedAttributesCount": int},
    "Span": {"traceId": r"[0-9a-f]{32}", "spanId": r"[0-9a-f]{16}", "traceState": str,
             "parentSpanId": r"[0-9a-f]{16}", "flags": int, "name": str, "kind": int,
             "startTimeUnixNano": r"\d{1,20}", "endTimeUnixNano": r"\d{1,20}",
             "attributes": ["KeyValue"], "droppedAttributesCount": int, "events": ["Event"],
             "droppedEventsCount": int, "links": ["Link"], "droppedLinksCount": int,
             "status": "Status"},
    "Link": {"traceId": r"[0-9a-f]{32}", "spanId": r"[0-9a-f]{16}", "traceState": str,
             "attributes": ["KeyValue"], "droppedAttributesCount": int, "flags": int},
    "Status": {"message": str, "code": int},
    "KeyValue": {"key": str, "value": "AnyValue"},
    "AnyValue": {"stringValue": str, "boolValue": bool, "intValue": r"-?\d{1,19}",
                 "doubleValue": float},
}
NO_NUMBERS = {"NaN", "Infinity", "-Infinity"}


def check(value, kind, path):
    if isinstance(kind, list):
        assert isinstance(value, list), path
        for i, each in enumerate(value):
            check(each, kind[0], "%s[%d]" % (path, i))
    elif kind in MESSAGES:
        assert isinstance(value, dict), path
        for name, each in value.items():
            assert name in MESSAGES[kind], "%s: unknown field %s" % (path, name)
            check(each, MESSAGES[kind][name], "%s.%s" % (path, name))
        assert kind != "AnyValue" or len(value) == 1, path
    elif isinstance(kind, str):
        assert isinstance(value, str) and re.fullmatch(kind, value), "%s: %r" % (path, value)
    elif kind is float:
        assert type(value) in (int, float) or value in NO_NUMBERS, "%s: %r" % (path, value)
    else:
        assert type(value) is kind, "%s: %r" % (path, value)


def no_constant(name):
    raise AssertionError("no JSON: " + name)


text = open(sys.argv[1], encoding="utf-8").read()
request = json.loads(text, parse_constant=no_constant)
check(request, "ExportTraceServiceRequest", "request")
spans = [span for resource in request["resourceSpans"]
         for scope in resource["scopeSpans"] for span in scope["spans"]]
for span in spans:
    assert 0 <= span.get("kind", 0) <= 5, span
    assert 0 <= span.get("status", {}).get("code", 0) <= 2, span
    assert int(span["startTimeUnixNano"]) <= int(span["endTimeUnixNano"]), span
print(len(spans))
