"""The one way to the next tier: a URL becomes a grpc.Channel, and stubs never know which kind."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any

import grpc
from pydantic import AfterValidator

from tier_runtime.client_interceptors import CallClientInterceptor
from tier_runtime.startup import StartupError


@dataclass(frozen=True, slots=True)
class ChannelSettings:
    """How a tier calls another. Times are in seconds, sizes in bytes."""

    # The deadline of an RPC made outside of any call.
    default_deadline_seconds: float = 5.0
    # What a hop keeps of its caller's deadline, to answer in time itself.
    hop_margin_seconds: float = 0.01
    # Largest message, in and out.
    max_message_bytes: int = 4 * 1024 * 1024
    # Methods that are safe to send twice, as "package.Service/Method" or "package.Service": only
    # these are sent again when the peer is unavailable.
    retried_methods: tuple[str, ...] = ()
    # Sendings of one RPC in all; gRPC takes no more than 5.
    max_attempts: int = 3


def open_channel(url: str, settings: ChannelSettings | None = None) -> grpc.Channel:
    """Return a channel whose stubs speak for the current call and raise AppError only.

    `grpc://host:port` is one peer. `dns:///name:port` is all peers behind a name: calls go to
    each healthy one in turn. Nothing is connected until the first RPC. Never carry a channel
    across a fork; the caller closes it.

    Raises:
        StartupError: the URL's scheme is not known, or the URL has not its scheme's form.
    """
    settings = settings or ChannelSettings()
    transport, target = _read(url)
    interceptor = CallClientInterceptor(
        default_deadline_seconds=settings.default_deadline_seconds,
        hop_margin_seconds=settings.hop_margin_seconds,
    )
    return grpc.intercept_channel(transport.open(target, settings), interceptor)


def _open_grpc(target: str, settings: ChannelSettings) -> grpc.Channel:
    return grpc.insecure_channel(target, options=_options(settings, {}))


def _open_dns(target: str, settings: ChannelSettings) -> grpc.Channel:
    balanced = {
        "loadBalancingConfig": [{"round_robin": {}}],
        "healthCheckConfig": {"serviceName": ""},
    }
    return grpc.insecure_channel(f"dns:///{target}", options=_options(settings, balanced))


@dataclass(frozen=True, slots=True)
class _Transport:
    """What a scheme stands for: how its URLs are written, and how they are opened."""

    # All before "host:port".
    prefix: str
    form: str
    open: Callable[[str, ChannelSettings], grpc.Channel]


# The next transports, `http` and `inproc`, are entries here.
_TRANSPORTS: Mapping[str, _Transport] = MappingProxyType(
    {
        "grpc": _Transport("grpc://", "grpc://host:port", _open_grpc),
        "dns": _Transport("dns:///", "dns:///name:port", _open_dns),
    }
)


def _read(url: str) -> tuple[_Transport, str]:
    scheme, colon, _ = url.partition(":")
    transport = _TRANSPORTS.get(scheme) if colon else None
    if transport is None:
        known = ", ".join(sorted(_TRANSPORTS))
        raise StartupError(f"Cannot open a channel to {url!r}: its scheme must be one of {known}.")
    target = url.removeprefix(transport.prefix)
    host, _, port = target.rpartition(":")
    fits = target != url and host and "/" not in host and port.isdecimal()
    if not fits or not 0 < int(port) < 65536:
        raise StartupError(
            f"Cannot open a channel to {url!r}: it must be written {transport.form}."
        )
    return transport, target


def _checked(url: str) -> str:
    try:
        _read(url)
    except StartupError as error:
        raise ValueError(str(error)) from error
    return url


# The type of a setting that says where the next tier is.
TierUrl = Annotated[str, AfterValidator(_checked)]


def _options(
    settings: ChannelSettings, service_config: Mapping[str, Any]
) -> tuple[tuple[str, int | str], ...]:
    config = {**service_config, **_retries(settings)}
    return (
        # By default a channel takes seconds to see that a server is back.
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 1000),
        # A peer that vanished without a word while calls wait for it is found out within 40 s.
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        # Channels of one process would share one connection otherwise.
        ("grpc.use_local_subchannel_pool", 1),
        # The next tier is never behind the proxy that the environment names for the internet.
        ("grpc.enable_http_proxy", 0),
        # A name server must not decide about retries.
        ("grpc.service_config_disable_resolution", 1),
        ("grpc.max_receive_message_length", settings.max_message_bytes),
        ("grpc.max_send_message_length", settings.max_message_bytes),
        ("grpc.service_config", json.dumps(config)),
    )


def _retries(settings: ChannelSettings) -> dict[str, Any]:
    if not settings.retried_methods:
        return {}
    names = [name.partition("/") for name in settings.retried_methods]
    policy = {
        "maxAttempts": settings.max_attempts,
        "initialBackoff": "0.05s",
        "maxBackoff": "0.5s",
        "backoffMultiplier": 2,
        "retryableStatusCodes": ["UNAVAILABLE"],
    }
    return {
        "methodConfig": [
            {
                "name": [
                    {"service": service} | ({"method": method} if method else {})
                    for service, _, method in names
                ],
                "retryPolicy": policy,
            }
        ],
        # A peer that fails most calls is not asked again as often.
        "retryThrottling": {"maxTokens": 10, "tokenRatio": 0.1},
    }
