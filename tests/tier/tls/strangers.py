"""Clients that shake hands by themselves, without anything of ours."""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress
from pathlib import Path

from tier_runtime.tls.files import TlsFiles


def shake_hands(
    url: str, authority: Path, shown: TlsFiles | None = None, *, is_old: bool = False
) -> None:
    """Try it with a server, showing a certificate or none, until the server hangs up.

    `is_old` is for TLS 1.2.
    """
    host, port = url.rpartition("/")[2].split(":")
    context = ssl.create_default_context(cafile=authority)
    context.set_alpn_protocols(["h2"])
    if is_old:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    if shown is not None:
        context.load_cert_chain(shown.certificate, shown.key)
    with (
        socket.create_connection((host, int(port)), timeout=5) as plain,
        # With TLS 1.3 it learns of the refusal when it reads.
        suppress(OSError),
        context.wrap_socket(plain, server_hostname=host) as nobody,
    ):
        assert nobody.recv(1024) == b""
