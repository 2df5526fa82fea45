"""Links that let a file be downloaded without a token."""

from __future__ import annotations

from datetime import timedelta

import pytest

from controller_tier.download_links import DownloadLinks
from tests.fakes.clock import FakeClock
from tier_runtime.errors import AppError, Kind

FILE = "019aa000-0000-7000-8000-000000000001"
OTHER = "019aa000-0000-7000-8000-000000000002"
OWNER = "019aa000-0000-7000-8000-00000000000a"
SECRET = b"s" * 32


def made(
    clock: FakeClock, secret: bytes = SECRET, seconds: float = 300
) -> tuple[DownloadLinks, str]:
    links = DownloadLinks(secret, clock)
    return links, links.token_for(FILE, OWNER, clock.now() + timedelta(seconds=seconds))


def refused(links: DownloadLinks, token: str, file_id: str = FILE) -> str:
    with pytest.raises(AppError) as caught:
        links.owner_of(file_id, token)
    assert (caught.value.kind, caught.value.code) == (Kind.FORBIDDEN, "FORBIDDEN")
    return caught.value.message


def test_a_link_leads_to_its_owner_s_file_until_it_expires() -> None:
    clock = FakeClock()
    links, token = made(clock)
    assert links.owner_of(FILE, token) == OWNER
    clock.advance(299)
    assert links.owner_of(FILE, token) == OWNER
    clock.advance(2)
    assert refused(links, token) == "This link has expired."


def test_a_link_is_of_one_file() -> None:
    links, token = made(FakeClock())
    assert refused(links, token, OTHER) == "This link is not one of ours."


def test_another_edge_with_the_same_secret_knows_it() -> None:
    clock = FakeClock()
    _, token = made(clock)
    assert DownloadLinks(SECRET, clock).owner_of(FILE, token) == OWNER
    assert refused(DownloadLinks(b"t" * 32, clock), token)


@pytest.mark.parametrize("token", ["", "A", "AAAA", "A" * 75, "?", "é"])
def test_what_is_no_token_is_refused(token: str) -> None:
    links, _ = made(FakeClock())
    assert refused(links, token)


def test_no_character_of_a_token_can_be_changed() -> None:
    links, token = made(FakeClock())
    for place, character in enumerate(token[:-1]):
        other = "B" if character == "A" else "A"
        assert refused(links, token[:place] + other + token[place + 1 :])
