from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_tier.domain.profiles import Profile


def faults_of(field: str, value: str) -> list[str]:
    given_fields = {"avatar_url": "", "bio": "", "phone": ""} | {field: value}
    faults = Profile.normalized(**given_fields).faults()
    assert all(not messages for name, messages in faults.items() if name != field)
    return faults[field]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("avatar_url", ""),
        ("avatar_url", "https://example.org/a.png?x=1#y"),
        ("avatar_url", "http://[::1]:8080/a"),
        ("avatar_url", " https://example.org/a.png "),
        ("avatar_url", "https://example.org/" + "a" * 480),
        ("bio", "x" * 1000),
        ("bio", "two\nlines"),
        ("phone", ""),
        ("phone", "+4915112345678"),
        ("phone", "+12"),
        ("phone", "+123456789012345"),
    ],
)
def test_what_a_profile_may_hold_is_accepted(field: str, value: str) -> None:
    assert faults_of(field, value) == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("avatar_url", "https://example.org/" + "a" * 481),
        ("avatar_url", "javascript:alert(1)"),
        ("avatar_url", "ftp://example.org/a"),
        ("avatar_url", "https:///a"),
        ("avatar_url", "example.org/a"),
        ("avatar_url", "https://exa mple.org"),
        ("avatar_url", "https://example.org:99999/"),
        ("avatar_url", "https://[::1/"),
        ("avatar_url", 'https://example.org/"><script>'),
        ("bio", "x" * 1001),
        ("phone", "015112345678"),
        ("phone", "+0151123456"),
        ("phone", "+1"),
        ("phone", "+1234567890123456"),
        ("phone", "+49 151 12345678"),
        ("phone", "+٤٩١٥١"),
    ],
)
def test_what_a_profile_may_not_hold_is_refused(field: str, value: str) -> None:
    assert len(faults_of(field, value)) == 1


@given(st.text(), st.text(), st.text())
def test_no_text_at_all_makes_the_rules_stumble(avatar_url: str, bio: str, phone: str) -> None:
    profile = Profile.normalized(avatar_url=avatar_url, bio=bio, phone=phone)
    assert set(profile.faults()) == {"avatar_url", "bio", "phone"}
