from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from launcher.certificates import make_certificates, need_renewal, read_also
from launcher.peers import PEERS, tls_variables
from tier_runtime.startup import StartupError

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def leaf(folder: Path, peer: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((folder / peer / "tls.crt").read_bytes())


def names(certificate: x509.Certificate) -> x509.SubjectAlternativeName:
    return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value


def test_every_peer_gets_a_certificate_of_its_name_that_works_both_ways(tmp_path: Path) -> None:
    made = make_certificates(tmp_path / "tls", now=NOW)
    assert [each.path.parent.name for each in made] == ["tls", *PEERS]
    authority = x509.load_pem_x509_certificate((tmp_path / "tls" / "ca.crt").read_bytes())
    for peer in PEERS:
        certificate = leaf(tmp_path / "tls", peer)
        certificate.verify_directly_issued_by(authority)
        assert names(certificate).get_values_for_type(x509.DNSName) == [peer, "localhost"]
        assert "127.0.0.1" in map(str, names(certificate).get_values_for_type(x509.IPAddress))
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        assert set(usage) == {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}
        key = certificate.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        assert key.curve.name == "secp256r1"
        told = tls_variables(tmp_path / "tls", peer)
        context = ssl.create_default_context(cafile=told["TLS_CA_FILE"])
        context.load_cert_chain(told["TLS_CERT_FILE"], told["TLS_KEY_FILE"])


def test_keys_are_their_owners_alone(tmp_path: Path) -> None:
    make_certificates(tmp_path)
    keys = [tmp_path / "ca.key", *(tmp_path / peer / "tls.key" for peer in PEERS)]
    assert {path.stat().st_mode & 0o777 for path in keys} == {0o600}


def test_a_second_time_the_authority_stays_and_every_certificate_is_new(tmp_path: Path) -> None:
    make_certificates(tmp_path)
    before = [(tmp_path / name).read_bytes() for name in ("ca.crt", "ca.key")]
    serial = leaf(tmp_path, "service").serial_number
    made = make_certificates(tmp_path)
    assert [(tmp_path / name).read_bytes() for name in ("ca.crt", "ca.key")] == before
    assert leaf(tmp_path, "service").serial_number != serial
    assert [each.path.parent.name for each in made] == list(PEERS)
    assert not list(tmp_path.rglob(".*"))


def test_a_certificate_ends_with_its_days_and_never_after_its_authority(tmp_path: Path) -> None:
    make_certificates(tmp_path, days=825, now=NOW)
    assert leaf(tmp_path, "worker").not_valid_after_utc == NOW + timedelta(days=825)
    late = NOW + timedelta(days=3600)
    made = make_certificates(tmp_path, days=825, now=late)
    assert {each.ends for each in made} == {NOW + timedelta(days=3650)}
    with pytest.raises(StartupError, match="has expired"):
        make_certificates(tmp_path, now=NOW + timedelta(days=3651))


def test_further_names_and_addresses_go_into_the_certificate_of_their_peer(tmp_path: Path) -> None:
    make_certificates(tmp_path, read_also(["service=service.arcana.svc", "service=10.0.0.7"]))
    found = names(leaf(tmp_path, "service"))
    assert found.get_values_for_type(x509.DNSName)[:2] == ["service", "service.arcana.svc"]
    assert "10.0.0.7" in map(str, found.get_values_for_type(x509.IPAddress))
    assert names(leaf(tmp_path, "worker")).get_values_for_type(x509.DNSName) == [
        "worker",
        "localhost",
    ]


@pytest.mark.parametrize("word", ["service", "service=", "=name", "edge=name", "service=a b"])
def test_what_is_no_peer_and_name_is_refused_before_anything_is_made(
    tmp_path: Path, word: str
) -> None:
    with pytest.raises(StartupError):
        make_certificates(tmp_path, read_also([word]))
    assert not list(tmp_path.iterdir())


def test_a_part_of_an_authority_is_not_completed(tmp_path: Path) -> None:
    make_certificates(tmp_path)
    (tmp_path / "ca.key").unlink()
    with pytest.raises(StartupError, match=r"ca\.key is missing"):
        make_certificates(tmp_path)


def test_a_key_of_an_authority_that_never_was_is_replaced(tmp_path: Path) -> None:
    make_certificates(tmp_path / "made")
    tls = tmp_path / "tls"
    tls.mkdir()
    # As who is killed right after leaves it.
    (tls / "ca.key").write_bytes((tmp_path / "made" / "ca.key").read_bytes())
    assert [each.path.parent.name for each in make_certificates(tls)] == ["tls", *PEERS]


@pytest.mark.parametrize("name", ["tls.crt", "tls.key", "ca.crt"])
def test_files_that_are_gone_or_do_not_belong_together_need_renewal(
    tmp_path: Path, name: str
) -> None:
    make_certificates(tmp_path)
    assert not need_renewal(tmp_path)
    (tmp_path / "worker" / name).write_bytes((tmp_path / "service" / name).read_bytes())
    assert need_renewal(tmp_path) == (name != "ca.crt")
    (tmp_path / "worker" / name).unlink()
    assert need_renewal(tmp_path)
    make_certificates(tmp_path)
    assert not need_renewal(tmp_path)
    assert need_renewal(tmp_path, datetime.now(UTC) + timedelta(days=340))


def test_an_authority_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    make_certificates(tmp_path / "one")
    make_certificates(tmp_path / "two")
    (tmp_path / "one" / "ca.key").write_bytes((tmp_path / "two" / "ca.key").read_bytes())
    with pytest.raises(StartupError, match="is not the key of"):
        make_certificates(tmp_path / "one")
    (tmp_path / "one" / "ca.key").write_text("nothing")
    with pytest.raises(StartupError, match="cannot be read"):
        make_certificates(tmp_path / "one")


def test_a_folder_that_is_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StartupError, match="Cannot keep certificates"):
        make_certificates(tmp_path / "file" / "tls")
