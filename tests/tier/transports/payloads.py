"""Messages that a transport may get wrong."""

from __future__ import annotations

from typing import Any

from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc.error_details_pb2 import (  # type: ignore[import-untyped]  # ships no types
    BadRequest,
    ErrorInfo,
)

# 0001-01-01T00:00:00Z and 9999-12-31T23:59:59.999999999Z, the ends that RFC 3339 can write.
FIRST_SECOND, LAST_SECOND = -62135596800, 253402300799
LONGEST_SECONDS = 315_576_000_000

# Every plane, both directions of writing, what JSON escapes, and what line-based forms break on.
TEXT = (
    "Zoë 日本 \U0001f600 שלום \u202e e\u0301 \u2028\u2029 \x00\x1f\x7f "
    '"\\/\b\f\n\r\t </script> %2F+&=?#'
)

_SAMPLES: dict[str, dict[str, Any]] = {
    "nothing": {},
    "zeros of optional fields": {
        "maybe_text": "",
        "maybe_number": 0,
        "maybe_flag": False,
        "maybe_sort": 0,
        "inner": {},
        "chosen_inner": {},
    },
    "a oneof at its zero": {"chosen_text": ""},
    "largest numbers": {
        "int32_value": 2**31 - 1,
        "int64_value": 2**63 - 1,
        "uint32_value": 2**32 - 1,
        "uint64_value": 2**64 - 1,
        "sint64_value": 2**63 - 1,
        "fixed64_value": 2**64 - 1,
        "maybe_number": 2**63 - 1,
        "numbers": [2**63 - 1, 2**53 + 1, 0],
        "ratio": 1.7976931348623157e308,
    },
    "smallest numbers": {
        "int32_value": -(2**31),
        "int64_value": -(2**63),
        "sint64_value": -(2**63),
        "maybe_number": -(2**63),
        "numbers": [-(2**63), -(2**53) - 1],
        "ratio": 5e-324,
    },
    "unicode": {
        "text": TEXT,
        "maybe_text": TEXT,
        "texts": [TEXT, "", " "],
        "labels": {TEXT: TEXT, "": ""},
        "chosen_text": TEXT,
    },
    "bytes": {"data": bytes(range(256)), "parts": [b"", b"\xff", b"\xfb\xff\xbf"]},
    "first moments": {
        "moment": {"seconds": FIRST_SECOND},
        "moments": [{"seconds": -1, "nanos": 999_999_999}, {}],
        "span": {"seconds": -LONGEST_SECONDS, "nanos": -999_999_999},
    },
    "last moments": {
        "moment": {"seconds": LAST_SECOND, "nanos": 999_999_999},
        "moments": [{"nanos": 1}, {"nanos": 1000}, {"nanos": 1_000_000}, {"seconds": 1}],
        "span": {"seconds": LONGEST_SECONDS, "nanos": 999_999_999},
    },
    "small spans": {"span": {"nanos": -1}, "moment": {"seconds": 1_700_000_000, "nanos": 120_000}},
    # Open enums: a receiver keeps the number that a newer sender gave it.
    "unknown enums": {"sort": 99, "maybe_sort": -1, "sorts": [1, 99, 0]},
    "known enums": {"sort": 1, "maybe_sort": 2, "sorts": [2, 1]},
    "nested": {
        "inner": {"size": 1, "inner": {"size": 2, "inner": {"name": "deep"}}},
        "inners": [{}, {"name": "second"}, {"inner": {}}],
        "inner_by_name": {"a": {}, "b": {"size": 5}},
        "name_by_number": {-(2**63): "least", 0: "none", 7: "seven"},
    },
    "booleans": {"flag": True, "maybe_flag": True},
}


def samples() -> list[str]:
    """Return the names of the messages."""
    return [*_SAMPLES, "a status with details"]


def fields(name: str) -> dict[str, Any]:
    """Return the fields of the message of this name."""
    if name in _SAMPLES:
        return _SAMPLES[name]
    info = ErrorInfo(reason="NOT_FOUND", domain="arcana", metadata={"key": TEXT})
    fault = BadRequest(
        field_violations=[BadRequest.FieldViolation(field="name", description="Missing.")]
    )
    details = []
    for detail in (info, fault):
        packed = AnyMessage()
        packed.Pack(detail)
        details.append(packed)
    return {"chosen_status": {"code": 5, "message": "Gone.", "details": details}}
