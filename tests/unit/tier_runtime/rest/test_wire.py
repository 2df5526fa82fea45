"""Headers and statuses of REST hops."""

from __future__ import annotations

import grpc
import orjson
import pytest
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]  # ships no types

from tier_runtime.errors import AppError, Kind
from tier_runtime.rest import statuses
from tier_runtime.rest.wire import (
    headers_from_metadata,
    metadata_from_environ,
    metadata_from_headers,
    timeout_seconds,
    timeout_text,
)
from tier_runtime.status import to_status


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(4.99, "4990m"), (0.0001, "1m"), (0.0, "1m"), (5, "5000m"), (1e6, "1000000S")],
)
def test_a_timeout_is_written_as_grpc_writes_it(seconds: float, text: str) -> None:
    assert timeout_text(seconds) == text


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1H", 3600.0), ("2M", 120.0), ("3S", 3.0), ("250m", 0.25), ("50u", 5e-5), ("9n", 9e-9)],
)
def test_all_units_of_a_timeout_are_read(text: str, seconds: float) -> None:
    assert timeout_seconds(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "5", "m", "-1m", "1.5S", "123456789m", "5x", "5m "])
def test_a_timeout_that_is_none_is_not_read(text: str) -> None:
    assert timeout_seconds(text) is None


def test_metadata_arrives_as_it_was() -> None:
    metadata: list[tuple[str, str | bytes]] = [
        ("x-request-id", "r-1"),
        ("arcana-actor-bin", b"\x00\xff\xfe"),
        ("x-other", "o"),
    ]
    environ = {
        "HTTP_" + name.upper().replace("-", "_"): value
        for name, value in headers_from_metadata(metadata)
    }
    environ |= {"HTTP_HOST": "h", "HTTP_USER_AGENT": "u", "HTTP_GRPC_TIMEOUT": "1S", "PATH": "/"}
    assert metadata_from_environ(environ) == metadata


def test_binary_metadata_is_read_without_its_padding_too() -> None:
    assert metadata_from_environ({"HTTP_A_BIN": "AAE"}) == [("a-bin", b"\x00\x01")]


def test_binary_metadata_that_is_no_base64_stays_text() -> None:
    assert metadata_from_environ({"HTTP_A_BIN": "AA==,AA=="}) == [("a-bin", "AA==,AA==")]


def test_trailing_metadata_is_told_from_other_headers() -> None:
    headers = [("Content-Type", "x"), ("Grpc-Trailer-A", "1"), ("grpc-trailer-b-bin", "AA==")]
    assert metadata_from_headers(headers, "grpc-trailer-") == (("a", "1"), ("b-bin", b"\x00"))


STATUSES = {
    Kind.INVALID: 400,
    Kind.UNAUTHENTICATED: 401,
    Kind.FORBIDDEN: 403,
    Kind.MISSING: 404,
    Kind.EXISTS: 409,
    Kind.CONFLICT: 409,
    Kind.STALE: 412,
    Kind.THROTTLED: 429,
    Kind.UNAVAILABLE: 503,
    Kind.DEADLINE: 504,
    Kind.INTERNAL: 500,
}


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_has_its_http_status_and_is_read_back(kind: Kind) -> None:
    code = "INTERNAL_ERROR" if kind is Kind.INTERNAL else "VALIDATION_FAILED"
    failure = to_status(AppError(kind, code, "No."))
    assert statuses.http_status(failure) == STATUSES[kind]
    assert statuses.status_from(STATUSES[kind], statuses.status_json(failure)) == failure


def test_overload_is_503_and_says_when_to_come_again() -> None:
    failure = statuses.overloaded("Too many.")
    assert statuses.http_status(failure) == 503
    assert statuses.retry_after(failure) == 1


def test_who_is_throttled_is_told_the_seconds_rounded_up() -> None:
    failure = to_status(AppError(Kind.THROTTLED, "RATE_LIMITED", "No.", retry_after=2.1))
    assert statuses.retry_after(failure) == 3


def test_other_failures_say_no_time() -> None:
    failure = to_status(AppError(Kind.MISSING, "NOT_FOUND", "No."))
    assert statuses.retry_after(failure) is None


@pytest.mark.parametrize(
    ("http", "body", "code"),
    [
        (502, b"<html>Bad Gateway</html>", grpc.StatusCode.UNAVAILABLE),
        (503, b"", grpc.StatusCode.UNAVAILABLE),
        (429, b"{}", grpc.StatusCode.UNAVAILABLE),
        (404, b'{"detail":"Not Found"}', grpc.StatusCode.UNIMPLEMENTED),
        (400, b"[]", grpc.StatusCode.INTERNAL),
        (418, b"teapot", grpc.StatusCode.UNKNOWN),
        # A status that contradicts the answer it came in is somebody else's.
        (502, b'{"code":5,"message":"No."}', grpc.StatusCode.UNAVAILABLE),
    ],
)
def test_an_answer_of_somebody_else_means_what_grpc_says_it_means(
    http: int, body: bytes, code: grpc.StatusCode
) -> None:
    assert statuses.code_of(statuses.status_from(http, body).code) is code


def test_a_failure_in_the_middle_of_a_stream_has_no_http_status() -> None:
    failure = Status(code=5, message="No.")
    assert statuses.status_from(None, statuses.status_json(failure)) == failure
    assert statuses.status_from(None, b"nonsense").code == grpc.StatusCode.UNKNOWN.value[0]


def test_a_detail_of_an_unknown_type_takes_nothing_else_along() -> None:
    failure = to_status(AppError(Kind.THROTTLED, "RATE_LIMITED", "No.", retry_after=2.0))
    told = orjson.loads(statuses.status_json(failure))
    told["details"].insert(1, {"@type": "type.googleapis.com/newer.v1.Detail", "seconds": 3})
    told["details"].append({"@type": 7})
    told["details"].append("no detail")
    assert statuses.status_from(429, orjson.dumps(told)) == failure
    assert statuses.status_from(None, orjson.dumps(told)) == failure


@pytest.mark.parametrize("body", [b'{"code":5,"details":7}', b'{"code":[],"details":[]}', b'"x"'])
def test_what_is_no_status_apart_from_its_details_is_somebody_elses(body: bytes) -> None:
    code = statuses.code_of(statuses.status_from(502, body).code)
    assert code is grpc.StatusCode.UNAVAILABLE


def test_a_code_that_there_is_not_is_unknown() -> None:
    assert statuses.code_of(77) is grpc.StatusCode.UNKNOWN
