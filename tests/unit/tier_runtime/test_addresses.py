from __future__ import annotations

import json

import grpc
import pytest

from tier_runtime.channel import ChannelSettings, _options, open_channel
from tier_runtime.health import HealthBoard
from tier_runtime.logs import get_logger
from tier_runtime.server import GrpcServerSettings, build_server
from tier_runtime.startup import StartupError

GRPC = "grpc://host:port, or grpc://ip:port,ip:port,... with addresses of one family"
DNS = "dns:///name:port or dns://resolver:port/name:port"
HTTP = "http://host:port[,host:port...]"


@pytest.mark.parametrize("url", ["", "host:1", "https://host:1", "unix:/x", "grpcs://host:1"])
def test_an_unknown_scheme_is_refused_and_the_known_ones_are_named(url: str) -> None:
    with pytest.raises(
        StartupError, match="its scheme must be one of dns, grpc, http, inproc"
    ) as caught:
        open_channel(url)
    assert repr(url) in str(caught.value)


@pytest.mark.parametrize(
    ("url", "form"),
    [
        ("grpc:host:1", GRPC),
        ("grpc://host", GRPC),
        ("grpc://:1", GRPC),
        ("grpc://host:0", GRPC),
        ("grpc://host:65536", GRPC),
        ("grpc://host:1/path", GRPC),
        ("grpc://host:1,other:1", GRPC),
        ("grpc://127.0.0.1:1,host:1", GRPC),
        ("grpc://127.0.0.1:1,[::1]:1", GRPC),
        ("grpc://127.0.0.1:1,", GRPC),
        ("dns://host:1", DNS),
        ("dns:///name", DNS),
        ("dns:///name:http", DNS),
        ("dns://resolver/name:1", DNS),
        ("http://host", HTTP),
        ("http://host:1/", HTTP),
        ("http://host:1,,host:2", HTTP),
        ("inproc:", "inproc:name"),
        ("inproc://x", "inproc:name"),
    ],
)
def test_a_url_without_its_form_is_refused_and_the_form_is_told(url: str, form: str) -> None:
    with pytest.raises(StartupError) as caught:
        open_channel(url)
    assert str(caught.value) == f"Cannot open a channel to {url!r}: it must be written {form}."


@pytest.mark.parametrize(
    "url",
    [
        "grpc://127.0.0.1:1",
        "grpc://[::1]:1",
        "grpc://127.0.0.1:1,127.0.0.1:2",
        "grpc://[::1]:1,[::1]:2",
        "dns:///service:50051",
        "dns://127.0.0.1:53/service:50051",
        "http://127.0.0.1:1,service:2",
    ],
)
def test_a_url_of_a_known_form_opens_a_channel(url: str) -> None:
    with open_channel(url) as channel:
        assert isinstance(channel, grpc.Channel)


def test_a_server_that_is_not_in_this_process_is_refused() -> None:
    with pytest.raises(StartupError, match="'inproc:service': it is not in this process"):
        open_channel("inproc:service")


def test_only_methods_named_as_safe_are_retried_and_only_when_unavailable() -> None:
    settings = ChannelSettings(retried_methods=("a.B/Get", "a.C"), max_attempts=4)
    config = json.loads(str(dict(_options(settings, {}))["grpc.service_config"]))
    (method_config,) = config["methodConfig"]
    assert method_config["name"] == [{"service": "a.B", "method": "Get"}, {"service": "a.C"}]
    assert method_config["retryPolicy"]["maxAttempts"] == 4
    assert method_config["retryPolicy"]["retryableStatusCodes"] == ["UNAVAILABLE"]
    plain = json.loads(str(dict(_options(ChannelSettings(), {}))["grpc.service_config"]))
    assert plain == {}


def test_one_attempt_means_no_policy_which_grpc_would_not_take() -> None:
    settings = ChannelSettings(retried_methods=("a.B/Get",), max_attempts=1)
    assert json.loads(str(dict(_options(settings, {}))["grpc.service_config"])) == {}


@pytest.mark.parametrize("attempts", [-1, 0, 6])
def test_attempts_beyond_their_bounds_are_refused(attempts: int) -> None:
    with pytest.raises(StartupError, match=f"1 to 5 times in all, not {attempts} times"):
        ChannelSettings(max_attempts=attempts)


@pytest.mark.parametrize("bind", ["", "host", "host:", ":1", "host:x", "host:65536", "1:-1"])
def test_a_listen_address_that_is_none_is_one_clear_line(bind: str) -> None:
    server = build_server(GrpcServerSettings(bind=bind), [], HealthBoard(), get_logger("test"))
    with pytest.raises(StartupError) as caught:
        server.start()
    assert str(caught.value) == f"Cannot listen on {bind!r}: an address is written host:port."


@pytest.mark.parametrize(("threads", "streams"), [(1, None), (4, 4), (4, 0), (4, 5)])
def test_streams_must_leave_a_thread_for_unary_calls(threads: int, streams: int | None) -> None:
    with pytest.raises(StartupError, match="fewer than its threads"):
        GrpcServerSettings(bind="127.0.0.1:0", threads=threads, max_open_streams=streams)


def test_by_default_half_the_threads_may_serve_streams() -> None:
    assert GrpcServerSettings(bind="127.0.0.1:0", threads=4).stream_limit == 2
    settings = GrpcServerSettings(bind="127.0.0.1:0", threads=4, max_open_streams=3)
    assert settings.stream_limit == 3
