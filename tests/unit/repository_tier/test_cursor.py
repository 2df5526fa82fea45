from __future__ import annotations

import base64
from datetime import UTC, datetime
from uuid import UUID

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from repository_tier.cursor import (
    KeyType,
    Position,
    SortKey,
    list_digest,
    read_cursor,
    write_cursor,
)
from tier_runtime.errors import AppError

ID = "01920000-0000-7000-8000-000000000000"
DIGEST = list_digest(b"users", b"name")


def forged(*content: object) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(content)).decode()


@given(
    key=st.text(max_size=760)
    | st.datetimes(timezones=st.just(UTC))
    | st.integers(min_value=-(2**63), max_value=2**63 - 1)
)
def test_a_cursor_leads_back_to_its_position(key: SortKey) -> None:
    position = Position(key, ID)
    key_type: KeyType = type(key)
    assert read_cursor(DIGEST, write_cursor(DIGEST, position), key_type) == position


def test_a_cursor_of_ids_leads_back_to_its_id() -> None:
    position = Position(ID, ID)
    assert read_cursor(DIGEST, write_cursor(DIGEST, position), UUID) == position


@given(junk=st.text())
def test_junk_is_no_cursor(junk: str) -> None:
    with pytest.raises(AppError) as caught:
        read_cursor(DIGEST, junk, str)
    assert set(caught.value.field_errors) == {"cursor"}


@pytest.mark.parametrize(
    ("content", "key_type"),
    [
        ((1, DIGEST, "ada", "x" * 36), str),
        ((1, DIGEST, "ada", 5), str),
        ((1, DIGEST, 5, ID), str),
        ((1, DIGEST, "a" * 761, ID), str),
        ((1, DIGEST, "ada", ID), datetime),
        ((1, DIGEST, True, ID), datetime),
        ((1, DIGEST, 2**62, ID), datetime),
        ((1, DIGEST, "5", ID), int),
        ((1, DIGEST, True, ID), int),
        ((1, DIGEST, 2**63, ID), int),
        ((1, DIGEST, "ada", ID), UUID),
        ((1, DIGEST, "ada"), str),
        ((2, DIGEST, "ada", ID), str),
        ((1, "another list", "ada", ID), str),
    ],
)
def test_a_forged_cursor_is_refused(content: tuple[object, ...], key_type: KeyType) -> None:
    with pytest.raises(AppError) as caught:
        read_cursor(DIGEST, forged(*content), key_type)
    assert set(caught.value.field_errors) == {"cursor"}
