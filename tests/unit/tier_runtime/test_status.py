from __future__ import annotations

import grpc
import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc.error_details_pb2 import (  # type: ignore[import-untyped]  # ships no types
    ErrorInfo,
)
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]  # ships no types
from hypothesis import given
from hypothesis import strategies as st

from tier_runtime.catalogue import CATALOGUE, GENERAL_CODES
from tier_runtime.errors import AppError, Kind
from tier_runtime.status import (
    DETAILS_KEY,
    MAX_STATUS_BYTES,
    STATUS_CODES,
    from_rpc_error,
    from_status,
    to_status,
)

# Lone surrogates included: a client can put them into a JSON string.
TEXT = st.text(st.characters(codec=None), max_size=300)
LONG_TEXT = st.builds(lambda text, times: text * times, TEXT, st.integers(1, 60))
ENTRIES = sorted(CATALOGUE.values(), key=lambda entry: entry.code)


class FailedCall(grpc.RpcError):
    def __init__(self, code: grpc.StatusCode, details: bytes | None = None) -> None:
        self._code = code
        self._metadata = [] if details is None else [(DETAILS_KEY, details)]

    def code(self) -> grpc.StatusCode:
        return self._code

    def trailing_metadata(self) -> list[tuple[str, bytes]]:  # type: ignore[override] # as grpc does
        return [("other", b""), *self._metadata]


def crossed(error: AppError) -> AppError:
    """Return the error as the caller of a hop sees it."""
    return from_rpc_error(
        FailedCall(STATUS_CODES[error.kind], to_status(error).SerializeToString())
    )


def test_an_error_in_a_message_is_read_as_one_that_ends_an_rpc() -> None:
    error = AppError(Kind.MISSING, "USER_NOT_FOUND", "Nobody.", user_id="u-1")
    read = from_status(Status.FromString(to_status(error).SerializeToString()))
    assert (read.kind, read.code, read.message, read.metadata) == (
        Kind.MISSING,
        "USER_NOT_FOUND",
        "Nobody.",
        {"user_id": "u-1"},
    )


@pytest.mark.parametrize("number", [0, 5, 99])
def test_an_error_in_a_message_that_is_not_ours_is_internal(number: int) -> None:
    read = from_status(Status(code=number, message="What a proxy says."))
    assert (read.kind, read.code) == (Kind.INTERNAL, "INTERNAL_ERROR")


def status_with(reason: str, kind: Kind, domain: str = "arcana") -> bytes:
    detail = AnyMessage()
    detail.Pack(ErrorInfo(reason=reason, domain=domain))
    number = STATUS_CODES[kind].value[0]
    serialized: bytes = Status(code=number, message="Hm.", details=[detail]).SerializeToString()
    return serialized


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.code)
def test_every_code_survives_a_hop(entry) -> None:  # type: ignore[no-untyped-def] # parametrized
    for kind in entry.kinds:
        error = crossed(AppError(kind, entry.code, "A message."))
        assert (error.kind, error.code) == (kind, entry.code)


def test_everything_that_an_error_holds_survives_a_hop() -> None:
    error = crossed(
        AppError(
            Kind.THROTTLED,
            "RATE_LIMITED",
            "Too many requests.",
            field_errors={"email": ["Wrong.", "Too long."], "name": ["Missing."]},
            retry_after=2.5,
            limit=30,
        )
    )
    assert error.message == "Too many requests."
    assert error.field_errors == {"email": ("Wrong.", "Too long."), "name": ("Missing.",)}
    assert error.retry_after == 2.5
    assert error.metadata == {"limit": "30"}


def test_metadata_named_like_a_parameter_survives_a_hop() -> None:
    error = AppError(Kind.MISSING, "NOT_FOUND", "No.")
    error.metadata["message"] = "x"
    assert crossed(error).metadata == {"message": "x"}


def test_an_internal_error_says_nothing() -> None:
    error = crossed(AppError(Kind.INTERNAL, "INTERNAL_ERROR", "secret", why="secret"))
    assert error.message == "Internal error."
    assert error.metadata == {}


@given(
    message=LONG_TEXT,
    fields=st.dictionaries(TEXT, st.lists(LONG_TEXT, max_size=5), max_size=20),
    metadata=st.dictionaries(TEXT, LONG_TEXT, max_size=10),
    retry_after=st.none() | st.floats(0, 1e9),
)
def test_a_status_is_never_larger_than_4_kb_and_keeps_its_reason_and_wait(
    message: str,
    fields: dict[str, list[str]],
    metadata: dict[str, str],
    retry_after: float | None,
) -> None:
    error = AppError(
        Kind.INVALID, "VALIDATION_FAILED", message, field_errors=fields, retry_after=retry_after
    )
    error.metadata.update(metadata)
    status = to_status(error)
    assert status.ByteSize() <= MAX_STATUS_BYTES
    seen = crossed(error)
    assert seen.code == "VALIDATION_FAILED"
    assert seen.retry_after == (
        None if retry_after is None else pytest.approx(retry_after, abs=1e-8)
    )


def test_metadata_goes_before_field_errors_and_as_many_as_fit() -> None:
    error = AppError(
        Kind.INVALID,
        "VALIDATION_FAILED",
        "m" * 5000,
        field_errors={f"field{n}": ["x" * 100] for n in range(100)},
        kept="yes",
    )
    seen = crossed(error)
    assert seen.metadata == {"kept": "yes"}
    assert 10 < len(seen.field_errors) < 100
    assert seen.message == "m" * 1024


@pytest.mark.parametrize(
    ("code", "kind", "name", "waits"),
    [
        (grpc.StatusCode.UNAVAILABLE, Kind.UNAVAILABLE, "SERVICE_UNAVAILABLE", False),
        (grpc.StatusCode.DEADLINE_EXCEEDED, Kind.DEADLINE, "DEADLINE_EXCEEDED", False),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, Kind.UNAVAILABLE, "SERVICE_UNAVAILABLE", True),
        (grpc.StatusCode.UNIMPLEMENTED, Kind.INTERNAL, "INTERNAL_ERROR", False),
        (grpc.StatusCode.UNKNOWN, Kind.INTERNAL, "INTERNAL_ERROR", False),
        (grpc.StatusCode.NOT_FOUND, Kind.INTERNAL, "INTERNAL_ERROR", False),
        (grpc.StatusCode.UNAUTHENTICATED, Kind.INTERNAL, "INTERNAL_ERROR", False),
        (grpc.StatusCode.CANCELLED, Kind.UNAVAILABLE, "SERVICE_UNAVAILABLE", False),
    ],
)
def test_a_status_that_is_not_ours_keeps_only_what_grpc_means_by_it(
    code: grpc.StatusCode, kind: Kind, name: str, waits: bool
) -> None:
    error = from_rpc_error(FailedCall(code))
    assert (error.kind, error.code) == (kind, name)
    assert (error.retry_after is not None) is waits


def test_a_bare_rpc_error_is_internal() -> None:
    assert from_rpc_error(grpc.RpcError()).kind is Kind.INTERNAL


@pytest.mark.parametrize(
    "details",
    [
        b"\xff\xff\xff",
        status_with("NOT_FOUND", Kind.MISSING, domain="googleapis.com"),
        # Says INVALID_ARGUMENT inside and NOT_FOUND outside.
        status_with("NOT_FOUND", Kind.INVALID),
        Status(
            code=grpc.StatusCode.NOT_FOUND.value[0],
            details=[
                AnyMessage(type_url="type.googleapis.com/google.rpc.ErrorInfo", value=b"\xff")
            ],
        ).SerializeToString(),
        Status(code=grpc.StatusCode.NOT_FOUND.value[0]).SerializeToString(),
    ],
    ids=["garbage", "foreign", "contradiction", "garbage inside", "empty"],
)
def test_details_that_are_not_ours_are_not_believed(details: bytes) -> None:
    error = from_rpc_error(FailedCall(grpc.StatusCode.NOT_FOUND, details))
    assert (error.kind, error.code) == (Kind.INTERNAL, "INTERNAL_ERROR")


@pytest.mark.parametrize("kind", Kind)
def test_a_code_of_a_newer_peer_becomes_the_general_code_of_its_kind(kind: Kind) -> None:
    error = from_rpc_error(FailedCall(STATUS_CODES[kind], status_with("FROM_2031", kind)))
    assert (error.kind, error.code) == (kind, GENERAL_CODES[kind])
