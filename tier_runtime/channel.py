"""The one way to the next tier: a URL becomes a grpc.Channel, and stubs never know which kind."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any

import grpc
from pydantic import AfterValidator

from tier_runtime.breaking import BreakingInterceptor
from tier_runtime.channel_settings import FLOW_OPTIONS
from tier_runtime.channel_settings import ChannelSettings as ChannelSettings  # noqa: PLC0414 - given with every URL, so it is offered here too.
from tier_runtime.client_interceptors import CallClientInterceptor
from tier_runtime.inproc import InprocChannel, LocalServer
from tier_runtime.rest.channel import RestChannel
from tier_runtime.startup import StartupError
from tier_runtime.tls.swapping_channel import SwappingChannel
from tier_runtime.tracing.outgoing import Outgoing
from tier_runtime.tracing.spans import NO_TRACING, Tracing


def open_channel(
    url: str,
    settings: ChannelSettings | None = None,
    *,
    in_process: Mapping[str, LocalServer] | None = None,
    tracing: Tracing = NO_TRACING,
) -> grpc.Channel:
    """Return a channel whose stubs speak for the current call and raise AppError only.

    The scheme picks the transport, and stubs never know:

    - `grpc://host:port[,host:port...]`: one peer, or several that are named one by one. Several
      must be IP addresses; calls go to each healthy one in turn.
    - `dns:///name:port`, `dns://resolver:port/name:port`: all peers behind a name, each healthy
      one in turn; new ones are seen within seconds of a connection's end.
    - `http://host:port[,host:port...]`: REST hops.
    - `inproc:name`: the server of that name in `in_process`.

    With `settings.tls` all but the last are mutual TLS: a scheme names the transport, not what
    protects it. The peer's certificate must be for the host in the URL; of several, over gRPC for
    the first, and over REST each for its own.

    Nothing is connected until the first RPC. Never carry a channel across a fork; the caller
    closes it.

    Raises:
        StartupError: the URL's scheme is not known, or the URL has not its scheme's form; or
            there is no server of that name in this process; or the files of TLS cannot be used.
    """
    settings = settings or ChannelSettings()
    transport, target = _read(url)
    interceptor = CallClientInterceptor(
        default_deadline_seconds=settings.default_deadline_seconds,
        hop_margin_seconds=settings.hop_margin_seconds,
        meter=settings.meter,
        outgoing=Outgoing(tracing, transport.name, target),
    )
    channel = transport.open(target, settings, in_process or {})
    if settings.breaker is not None:
        # Next to the transport: what it must know of an error is gone once that is mapped.
        channel = grpc.intercept_channel(channel, BreakingInterceptor(settings.breaker))
    return grpc.intercept_channel(channel, interceptor)


InProcess = Mapping[str, LocalServer]
_Options = tuple[tuple[str, int | str], ...]

_BALANCED: Mapping[str, Any] = MappingProxyType(
    {
        "loadBalancingConfig": [{"round_robin": {}}],
        "healthCheckConfig": {"serviceName": ""},
    }
)


def _open_grpc(target: str, settings: ChannelSettings, _in_process: InProcess) -> grpc.Channel:
    addresses = target.split(",")
    if len(addresses) == 1:
        return _dial(target, settings, _options(settings, {}))
    scheme = "ipv6" if target.startswith("[") else "ipv4"
    options = _options(settings, _BALANCED)
    if settings.tls is not None:
        # By default the whole list would have to stand in the certificate.
        host = addresses[0].rpartition(":")[0].strip("[]")
        options += (("grpc.ssl_target_name_override", host),)
    return _dial(f"{scheme}:{target}", settings, options)


def _open_dns(target: str, settings: ChannelSettings, _in_process: InProcess) -> grpc.Channel:
    return _dial(f"dns://{target}", settings, _options(settings, _BALANCED))


def _dial(target: str, settings: ChannelSettings, options: _Options) -> grpc.Channel:
    if settings.tls is None:
        return grpc.insecure_channel(target, options=options)
    return SwappingChannel(
        settings.tls,
        lambda credentials: grpc.secure_channel(target, credentials, options=options),
    )


def _open_http(target: str, settings: ChannelSettings, _in_process: InProcess) -> grpc.Channel:
    return RestChannel(target.split(","), settings)


def _open_inproc(name: str, _settings: ChannelSettings, in_process: InProcess) -> grpc.Channel:
    server = in_process.get(name)
    if server is None:
        raise StartupError(f"Cannot open a channel to 'inproc:{name}': it is not in this process.")
    return InprocChannel(server)


@dataclass(frozen=True, slots=True)
class _Transport:
    """What a scheme stands for: how its URLs are written, and how they are opened."""

    # As spans name it.
    name: str
    prefix: str
    form: str
    fits: Callable[[str], bool]
    # What stands after the prefix, how to call, and the servers of this process.
    open: Callable[[str, ChannelSettings, InProcess], grpc.Channel]


def _is_address(text: str) -> bool:
    host, _, port = text.rpartition(":")
    named = bool(host) and not set(host) & set("/,")
    return named and port.isdecimal() and 0 < int(port) < 65536


def _are_addresses(text: str) -> bool:
    return all(_is_address(each) for each in text.split(","))


def _are_grpc_addresses(text: str) -> bool:
    if not _are_addresses(text):
        return False
    hosts = [each.rpartition(":")[0] for each in text.split(",")]
    # gRPC takes a list of addresses of one family; a name would have to be looked up again and
    # again, which is what dns:/// is for.
    return len(hosts) == 1 or {_family(host) for host in hosts} in ({4}, {6})


def _family(host: str) -> int | None:
    try:
        return ipaddress.ip_address(host.removeprefix("[").removesuffix("]")).version
    except ValueError:
        return None


def _is_name_behind_resolver(text: str) -> bool:
    resolver, slash, name = text.partition("/")
    return bool(slash) and (not resolver or _is_address(resolver)) and _is_address(name)


def _is_word(text: str) -> bool:
    return re.fullmatch(r"[a-z][a-z0-9_-]*", text) is not None


_TRANSPORTS: Mapping[str, _Transport] = MappingProxyType(
    {
        "grpc": _Transport(
            "grpc",
            "grpc://",
            "grpc://host:port, or grpc://ip:port,ip:port,... with addresses of one family",
            _are_grpc_addresses,
            _open_grpc,
        ),
        "dns": _Transport(
            "grpc",
            "dns://",
            "dns:///name:port or dns://resolver:port/name:port",
            _is_name_behind_resolver,
            _open_dns,
        ),
        "http": _Transport(
            "http", "http://", "http://host:port[,host:port...]", _are_addresses, _open_http
        ),
        "inproc": _Transport("inproc", "inproc:", "inproc:name", _is_word, _open_inproc),
    }
)


# What is in this process only the code can know, which hands the server over.
_NETWORK = frozenset(_TRANSPORTS) - {"inproc"}


def _unknown_scheme(url: str, known: Iterable[str]) -> str:
    schemes = ", ".join(sorted(known))
    return f"Cannot open a channel to {url!r}: its scheme must be one of {schemes}."


def _read(url: str) -> tuple[_Transport, str]:
    scheme, colon, _ = url.partition(":")
    transport = _TRANSPORTS.get(scheme) if colon else None
    if transport is None:
        raise StartupError(_unknown_scheme(url, _TRANSPORTS))
    target = url.removeprefix(transport.prefix)
    if target == url or not transport.fits(target):
        raise StartupError(
            f"Cannot open a channel to {url!r}: it must be written {transport.form}."
        )
    return transport, target


def require_tier_url(url: str) -> str:
    """Return the URL if a setting may say by it where another process is.

    Raises:
        ValueError: it has not the form of its scheme, or a scheme that leads to no other process.
    """
    scheme, colon, _ = url.partition(":")
    if not colon or scheme not in _NETWORK:
        raise ValueError(_unknown_scheme(url, _NETWORK))
    try:
        _read(url)
    except StartupError as error:
        raise ValueError(str(error)) from error
    return url


# The type of a setting that says where the next tier is.
TierUrl = Annotated[str, AfterValidator(require_tier_url)]


def _options(settings: ChannelSettings, service_config: Mapping[str, Any]) -> _Options:
    config = {**service_config, **_retries(settings)}
    return (
        # By default a channel takes seconds to see that a server is back.
        ("grpc.initial_reconnect_backoff_ms", 100),
        # The name of it is another, but so long may an attempt to connect take: a handshake on a
        # machine that is busy takes its time.
        ("grpc.min_reconnect_backoff_ms", 100 if settings.tls is None else 2000),
        ("grpc.max_reconnect_backoff_ms", 1000),
        # A server ends its connections now and then, and the name is looked up again then. The
        # default would wait for 30 s before a name is looked up a second time.
        ("grpc.dns_min_time_between_resolutions_ms", 2000),
        # A peer that vanished without a word while calls wait for it is found out within 40 s.
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        # Channels of one process would share one connection otherwise.
        ("grpc.use_local_subchannel_pool", 1),
        # The next tier is never behind the proxy that the environment names for the internet.
        ("grpc.enable_http_proxy", 0),
        # A name server must not decide about retries.
        ("grpc.service_config_disable_resolution", 1),
        *FLOW_OPTIONS,
        ("grpc.max_receive_message_length", settings.max_message_bytes),
        ("grpc.max_send_message_length", settings.max_message_bytes),
        ("grpc.service_config", json.dumps(config)),
    )


def _retries(settings: ChannelSettings) -> dict[str, Any]:
    # gRPC fails every call of a channel whose policy has fewer than two attempts.
    if not settings.retried_methods or settings.max_attempts < 2:
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
