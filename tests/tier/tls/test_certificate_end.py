"""Until when the certificate of a tier is good, as whoever may call the tier can ask."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from launcher.certificates import make_certificates
from launcher.hops import certificate_end, certificates_told, hop_to
from launcher.settings import LauncherSettings
from tests.stores.waiting import eventually
from tests.tier.tls.certificates import CALLER, files_of, make, served_by_tls, tls_plan
from tests.tier.transports.asking import request
from tests.tier.transports.probe_contract import ProbeStub
from tests.tier.transports.wires import Peer, TierProcess, Wire
from tier_runtime.settings import load


def test_the_end_is_that_of_the_certificate_which_the_server_shows(
    tmp_path: Path, wire: Wire
) -> None:
    begins = datetime.now(UTC).replace(microsecond=0)
    make_certificates(tmp_path, days=40, now=begins)
    files = files_of(tmp_path, CALLER)
    with served_by_tls(wire, tls_plan(tmp_path, wire), tmp_path) as (peer, process):
        assert certificate_end(peer.url, files) == begins + timedelta(days=40)
        make_certificates(tmp_path, days=50, now=begins)
        eventually(lambda: certificate_end(peer.url, files) == begins + timedelta(days=50))
        hop = hop_to(peer.url, files)
        assert (hop.transport, hop.is_tls) == (wire, True)
        assert hop.certificate_ends == begins + timedelta(days=50)
        # Later than what asking left behind, had it left anything.
        with peer.channel() as channel:
            ProbeStub(channel).Answer(request(), timeout=10)
        process.logged("rpc", 1)
        assert not process.log_lines("peer_refused")
        assert not process.log_lines("unexpected_error")


def test_a_server_of_another_authority_shows_nothing_that_counts(
    served: Callable[[Wire], tuple[Peer, TierProcess]], wire: Wire, tmp_path: Path
) -> None:
    peer, _ = served(wire)
    assert certificate_end(peer.url, files_of(make(tmp_path), CALLER)) is None


def test_nobody_shows_nothing(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    files = files_of(folder, CALLER)
    assert certificate_end(f"grpc://127.0.0.1:{port}", files) is None
    assert hop_to(f"grpc://127.0.0.1:{port}", None).is_tls is False


def test_of_several_addresses_the_first_is_asked(
    served: Callable[[Wire], tuple[Peer, TierProcess]], wire: Wire, folder: Path
) -> None:
    files = files_of(folder, CALLER)
    peer, _ = served(wire)
    ends = certificate_end(peer.url, files)
    assert ends is not None
    assert certificate_end(f"{peer.url},127.0.0.1:1", files) == ends
    if wire == "grpc":
        assert certificate_end(f"dns:///{peer.url.rpartition('/')[2]}", files) == ends


def test_the_date_is_left_out_while_our_own_files_are_being_replaced(
    served: Callable[[Wire], tuple[Peer, TierProcess]], wire: Wire, folder: Path, tmp_path: Path
) -> None:
    peer, _ = served(wire)
    own = shutil.copytree(folder / CALLER, tmp_path / CALLER)
    environ = {
        "SERVICE_URL": peer.url,
        "REPOSITORY_URL": peer.url,
        "TLS_CERT_FILE": str(own / "tls.crt"),
        "TLS_KEY_FILE": str(own / "tls.key"),
        "TLS_CA_FILE": str(own / "ca.crt"),
    }
    settings = load(LauncherSettings, environ)
    (line,) = certificates_told(settings)
    assert ", good until 20" in line
    # The new key is there, and not yet its certificate.
    make_certificates(tmp_path / "new")
    shutil.copy(tmp_path / "new" / CALLER / "tls.key", own / "tls.key")
    (line,) = certificates_told(settings)
    assert line == f"Certificates: {own / 'tls.crt'}. The edge itself speaks plaintext."
