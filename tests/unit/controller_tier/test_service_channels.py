from __future__ import annotations

from collections.abc import Callable

import grpc
import pytest

from controller_tier.service_channels import (
    SERVICE_NAMES,
    ServiceChannels,
    connect_services,
)
from controller_tier.settings import ControllerSettings
from tests.fakes.clock import FakeClock
from tier_runtime.channel import ChannelSettings, open_channel

AUTH, USERS, LIMITS = (SERVICE_NAMES[name] for name in ("auth", "users", "rate_limits"))


class Openings:
    """Opens channels and notes which, and when they were closed."""

    def __init__(self, log: list[str], refused: str = "") -> None:
        self._log = log
        self._refused = refused
        self.settings: list[ChannelSettings] = []

    def open(self, url: str, settings: ChannelSettings) -> grpc.Channel:
        if url == self._refused:
            raise OSError(url)
        self._log.append(f"open {url}")
        self.settings.append(settings)
        return Noted(url, self._log)


class Noted(grpc.Channel):
    """A channel of which only its end is of interest."""

    def __init__(self, url: str, log: list[str]) -> None:
        self._url = url
        self._log = log

    def close(self) -> None:
        self._log.append(f"close {self._url}")

    def __enter__(self) -> Noted:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def subscribe(
        self, callback: Callable[..., object], try_to_connect: bool | None = None
    ) -> None:
        raise NotImplementedError

    unsubscribe = unary_unary = unary_stream = stream_unary = stream_stream = subscribe  # type: ignore[assignment]  # never called


@pytest.fixture
def log() -> list[str]:
    return []


def test_one_address_is_one_channel_for_all_services(log: list[str]) -> None:
    channels = connect_services(ControllerSettings(), Openings(log).open)
    assert log == ["open grpc://127.0.0.1:50051"]
    assert channels.of(AUTH) is channels.of(USERS) is channels.of(LIMITS)
    assert channels.breakers() == {"service": "closed"}
    channels.close()
    assert log[1:] == ["close grpc://127.0.0.1:50051"]


def test_a_service_with_an_address_of_its_own_has_a_channel_and_a_breaker(
    log: list[str],
) -> None:
    settings = ControllerSettings(
        service_urls=["users=grpc://u:1"], circuit_breaker_failures=1, request_timeout_seconds=3
    )
    openings = Openings(log)
    channels = connect_services(settings, openings.open, clock=FakeClock())
    assert channels.of(AUTH) is channels.of(LIMITS)
    assert channels.of(USERS) is not channels.of(AUTH)
    [users] = [each for each in channels.neighbours if each.name == "users"]
    assert users.services == (USERS,)
    assert users.breaker is not None
    users.breaker.note(succeeded=False)
    assert channels.breakers() == {"service": "closed", "users": "open"}
    users.breaker.note(succeeded=True)
    assert channels.breakers() == {"service": "closed", "users": "closed"}
    for opened in openings.settings:
        assert opened.default_deadline_seconds == 3
        assert f"{USERS}/GetUser" in opened.retried_methods
        assert f"{USERS}/CreateUser" not in opened.retried_methods
    channels.close()


def test_what_was_opened_is_closed_when_another_cannot_be(log: list[str]) -> None:
    settings = ControllerSettings(service_urls=["users=grpc://u:1"])
    with pytest.raises(OSError, match="u:1"):
        connect_services(settings, Openings(log, "grpc://u:1").open)
    assert log == ["open grpc://127.0.0.1:50051", "close grpc://127.0.0.1:50051"]


def test_the_tiers_of_this_process_end_after_the_channels_to_them(log: list[str]) -> None:
    channels = ServiceChannels.single(
        Noted("inproc:service", log), [lambda: log.append("service"), lambda: log.append("store")]
    )
    assert channels.breakers() == {}
    channels.close()
    assert log == ["close inproc:service", "service", "store"]


def test_a_service_that_there_is_not_has_no_channel() -> None:
    with open_channel("grpc://127.0.0.1:1") as channel, pytest.raises(KeyError):
        ServiceChannels.single(channel).of("arcana.service.v1.PeopleService")
