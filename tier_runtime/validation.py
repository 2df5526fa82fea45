"""Presence checks for requests, and the error that names bad fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from google.protobuf.message import Message

from tier_runtime.errors import AppError, Kind

REQUIRED = "This field is required."


def require(request: Message, *field_names: str) -> None:
    """Check that the named fields of a request are given.

    A field that tracks presence (a message, or `optional`) must be set; any other must differ
    from its zero value: an empty string, an empty list, 0, the UNSPECIFIED enum value. Do not
    name a field for which the zero value means something. `a.b` looks inside a message field.

    Raises:
        AppError: INVALID/VALIDATION_FAILED, naming every missing field at once.
        ValueError: the message has no field of that name.
    """
    missing = [name for name in field_names if not _is_given(request, name)]
    if missing:
        raise invalid({name: [REQUIRED] for name in missing})


def invalid(field_errors: Mapping[str, Sequence[str]]) -> AppError:
    """Return the error for these bad fields, keyed by field path."""
    return AppError(
        Kind.INVALID,
        "VALIDATION_FAILED",
        "One or more fields are not valid.",
        field_errors=field_errors,
    )


def _is_given(message: Message, path: str) -> bool:
    name, _, rest = path.partition(".")
    field = message.DESCRIPTOR.fields_by_name.get(name)
    if field is None:
        raise ValueError(f"{message.DESCRIPTOR.full_name} has no field {name!r}.")
    value = getattr(message, name)
    given = message.HasField(name) if field.has_presence else bool(value)
    return given and (not rest or _is_given(value, rest))
