"""How the inner tiers are called: where, over which transport, and by whose certificate."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal
from urllib.parse import urlsplit

from launcher.settings import SERVICES, LauncherSettings, split_url
from tier_runtime.tls.files import TlsFiles, TlsFilesError

# A peer that does not shake hands in this time has told nothing.
HANDSHAKE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Hop:
    """How a process is called.

    Attributes:
        transport: `inproc` where no socket lies between it and its caller.
        is_tls: whether it is called by mutual TLS, and else in plaintext.
        certificate_ends: until when the certificate is good that it shows, if it is known.
    """

    transport: Literal["grpc", "http", "inproc"]
    is_tls: bool = False
    certificate_ends: datetime | None = None


def hops_of(settings: LauncherSettings) -> str:
    """Say what the tiers speak to each other."""
    protocol = "REST" if settings.communication_protocol == "http" else "gRPC"
    return protocol if settings.own_tls() is None else f"{protocol} over mutual TLS"


def hop_to(url: str, tls: TlsFiles | None, *, looks: bool = True) -> Hop:
    """Return how a tier is called at a URL; unless it `looks`, without asking for a certificate."""
    ends = certificate_end(url, tls) if tls is not None and looks else None
    return Hop("http" if _is_rest(url) else "grpc", tls is not None, ends)


def services_of(settings: LauncherSettings) -> list[tuple[str, str]]:
    """Give the processes of the service tier by their names, each with its URL."""
    if settings.deployment_mode == "monolithic":
        # The only one that listens there; the others are called in place.
        return [("service", settings.service_target())]
    targets = {"service": settings.service_target(workers=settings.workers)}
    if settings.deployment_mode == "microservices":
        targets = {name: settings.service_target(name, settings.workers) for name in SERVICES}
    return [(name, url) for name, target in targets.items() for url in split_url(target)]


def repositories_of(settings: LauncherSettings) -> list[str]:
    """Give the URLs of the processes of the repository tier; in the monolith none listens."""
    if settings.deployment_mode == "monolithic":
        return []
    return split_url(settings.repository_target(settings.repository_workers))


def certificates_told(settings: LauncherSettings) -> list[str]:
    """Say in lines for the operator which certificates the tiers show now; nothing without TLS."""
    tls = settings.own_tls()
    if tls is None:
        return []
    urls = [*(url for _, url in services_of(settings)), *repositories_of(settings)]
    try:
        ends = [end for url in urls if (end := certificate_end(url, tls)) is not None]
    except TlsFilesError:
        # Ours are being replaced, file by file, at this moment. All tiers are up, and that the
        # date is not known is no reason to stop them.
        ends = []
    until = f", good until {min(ends):%Y-%m-%d}" if ends else ""
    where = settings.tls_folder if settings.arcana_tls else tls.certificate
    return [f"Certificates: {where}{until}. The edge itself speaks plaintext."]


def certificate_end(url: str, tls: TlsFiles) -> datetime | None:
    """Return until when the certificate is good that a server shows; None if it shows none to us.

    Of several addresses, or a name that stands for several, it is the first one's.

    Raises:
        TlsFilesError: our own files cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.load_into(context)
    if not _is_rest(url):
        # gRPC's servers hang up on who does not ask for it.
        context.set_alpn_protocols(["h2"])
    address = urlsplit(f"//{url.rpartition('/')[2].partition(',')[0]}")
    host, port = address.hostname or "", address.port or 0
    try:
        with (
            socket.create_connection((host, port), HANDSHAKE_SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=host) as secured,
        ):
            shown = secured.getpeercert() or {}
    except OSError:
        return None
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(str(shown["notAfter"])), UTC)


def _is_rest(url: str) -> bool:
    return url.startswith("http:")
