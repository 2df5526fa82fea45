"""Collects what is wrong with the fields of one request, so that all of it is told at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tier_runtime.validation import invalid


def refuse_faults(faults: Mapping[str, Sequence[str]]) -> None:
    """Do nothing if no field has a fault.

    Raises:
        AppError: INVALID/VALIDATION_FAILED, naming every field that has one with all its faults.
    """
    present = {field: messages for field, messages in faults.items() if messages}
    if present:
        raise invalid(present)
