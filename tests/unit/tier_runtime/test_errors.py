from __future__ import annotations

import pytest

from tier_runtime.catalogue import CATALOGUE, GENERAL_CODES
from tier_runtime.errors import AppError, Kind

# The error table and the resources of the edge API, which promise these codes to its consumers.
PROMISED = [
    "MALFORMED_BODY",
    "UNSUPPORTED_MEDIA_TYPE",
    "BODY_TOO_LARGE",
    "VALIDATION_FAILED",
    "UNAUTHENTICATED",
    "INVALID_TOKEN",
    "TOKEN_EXPIRED",
    "TOKEN_REVOKED",
    "INVALID_CREDENTIALS",
    "ACCOUNT_NOT_ACTIVE",
    "FORBIDDEN",
    "USER_NOT_FOUND",
    "PRODUCT_NOT_FOUND",
    "ORDER_NOT_FOUND",
    "FILE_NOT_FOUND",
    "JOB_NOT_FOUND",
    "NOT_FOUND",
    "EMAIL_EXISTS",
    "INSUFFICIENT_STOCK",
    "INVALID_STATE",
    "IDEMPOTENCY_IN_PROGRESS",
    "IDEMPOTENCY_KEY_REUSED",
    "PRECONDITION_FAILED",
    "PRECONDITION_REQUIRED",
    "RATE_LIMITED",
    "SERVICE_UNAVAILABLE",
    "DEADLINE_EXCEEDED",
    "INTERNAL_ERROR",
]


@pytest.mark.parametrize("code", PROMISED)
def test_every_promised_code_is_in_the_catalogue(code: str) -> None:
    assert CATALOGUE[code].code == code


@pytest.mark.parametrize("entry", CATALOGUE.values(), ids=lambda entry: entry.code)
def test_every_entry_is_fit_for_the_documentation(entry) -> None:  # type: ignore[no-untyped-def] # parametrized
    assert entry.code == entry.code.upper()
    assert entry.kind is entry.kinds[0]
    assert entry.title
    assert not entry.title.endswith(".")
    assert entry.description.endswith(".")


def test_the_catalogue_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        CATALOGUE["NEW"] = CATALOGUE["NOT_FOUND"]  # type: ignore[index] # that is the point


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_has_a_general_code_of_that_kind(kind: Kind) -> None:
    assert CATALOGUE[GENERAL_CODES[kind]].kind is kind


def test_an_error_keeps_what_it_was_given() -> None:
    error = AppError(
        Kind.CONFLICT,
        "INSUFFICIENT_STOCK",
        "Only 3 units are left.",
        field_errors={"items.0": ["too many"]},
        retry_after=2.5,
        available=3,
        final=True,
        partial=False,
    )
    assert error.kind is Kind.CONFLICT
    assert error.code == "INSUFFICIENT_STOCK"
    assert error.message == "Only 3 units are left."
    assert error.field_errors == {"items.0": ("too many",)}
    assert error.retry_after == 2.5
    assert error.metadata == {"available": "3", "final": "true", "partial": "false"}
    assert str(error) == "INSUFFICIENT_STOCK: Only 3 units are left."


def test_a_code_outside_the_catalogue_is_refused() -> None:
    with pytest.raises(ValueError, match="NO_SUCH_CODE"):
        AppError(Kind.INVALID, "NO_SUCH_CODE", "?")


def test_a_negative_wait_is_refused() -> None:
    with pytest.raises(ValueError, match="retry_after"):
        AppError(Kind.THROTTLED, "RATE_LIMITED", "Later.", retry_after=-1)
