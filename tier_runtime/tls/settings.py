"""What a process is told about TLS between the tiers."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from tier_runtime.addresses import Address, is_this_machine
from tier_runtime.settings import Rule, TierSettings
from tier_runtime.tls.admission import ServerTls
from tier_runtime.tls.files import TlsFiles, TlsFilesError

_WAYS_OUT = (
    "name certificates by TLS_CERT_FILE, TLS_KEY_FILE and TLS_CA_FILE (`arcana certs` makes some), "
    "or set ALLOW_PLAINTEXT=true where something else protects the network"
)
# What decides whether a hop is in plaintext, as the fields of a Rule.
TLS_FIELDS = ("tls_cert_file", "tls_key_file", "tls_ca_file", "allow_plaintext")
# Every certificate that `arcana certs` makes has this name.
_EVERYBODY = "localhost"


class TlsSettings(TierSettings):
    """Settings of whoever calls a tier, or is one."""

    tls_cert_file: Path | None = Field(
        default=None,
        description="The certificate chain (PEM) by which this process is known to other tiers. "
        "With it, TLS_KEY_FILE and TLS_CA_FILE, every hop between tiers is mutual TLS. Read again "
        "when it changes.",
    )
    tls_key_file: Path | None = Field(
        default=None, description="The unencrypted private key (PEM) of TLS_CERT_FILE."
    )
    tls_ca_file: Path | None = Field(
        default=None,
        description="The authorities (PEM) that certificates of other tiers must come from.",
    )
    allow_plaintext: bool = Field(
        default=False,
        description="Whether a hop between tiers may leave this machine without TLS.",
    )

    def tls_files(self) -> TlsFiles | None:
        """Return the files, None where there is no TLS."""
        if self.tls_cert_file is None or self.tls_key_file is None or self.tls_ca_file is None:
            return None
        return TlsFiles(self.tls_cert_file, self.tls_key_file, self.tls_ca_file)

    def server_tls(self, callers: Iterable[str], readers: Iterable[str] = ()) -> ServerTls | None:
        """Return how a server of this process proves itself and whom it serves; None: anybody."""
        files = self.tls_files()
        return None if files is None else ServerTls(files, frozenset(callers), frozenset(readers))

    def _is_incomplete(self) -> str | None:
        given = (self.tls_cert_file, self.tls_key_file, self.tls_ca_file)
        if all(given) or not any(given):
            return None
        return "must be given with TLS_KEY_FILE and TLS_CA_FILE: all three or none"

    def _is_unusable(self) -> str | None:
        files = self.tls_files()
        try:
            if files is not None:
                files.require_usable()
        except TlsFilesError as error:
            return str(error)
        return None

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(("tls_cert_file", "tls_key_file", "tls_ca_file"), _is_incomplete),
        Rule(("tls_cert_file", "tls_key_file", "tls_ca_file"), _is_unusable),
    )

    def served_in_plaintext(self, bind: str) -> str | None:
        """Say what is wrong with listening there, as a Rule does."""
        if self._may_be_plain() or is_this_machine(Address.parse(bind).host):
            return None
        return f"{bind} is open to other machines, and there is no TLS: {_WAYS_OUT}"

    def called_in_plaintext(self, urls: Iterable[str]) -> str | None:
        """Say what is wrong with calling one of these URLs, as a Rule does."""
        if self._may_be_plain():
            return None
        for url in urls:
            if not all(map(is_this_machine, hosts_of(url))):
                return f"{url} leads to other machines, and there is no TLS: {_WAYS_OUT}"
        return None

    def _may_be_plain(self) -> bool:
        return self.allow_plaintext or self.tls_files() is not None


def everybody_fault(names: Iterable[str]) -> str | None:
    """Say what is wrong with a list of callers that lets everybody in, as a Rule does."""
    if _EVERYBODY not in names:
        return None
    return f"must not name {_EVERYBODY}, which certificates of all peers may be made for"


def hosts_of(url: str) -> list[str]:
    """Return the hosts that a tier's URL names, without brackets."""
    scheme, _, rest = url.partition("://")
    targets = rest.rpartition("/")[2] if scheme == "dns" else rest
    return [each.rpartition(":")[0].strip("[]") for each in targets.split(",")]
