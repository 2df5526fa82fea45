"""`arcana up --tls`: the same product, with every hop between its processes under mutual TLS."""

from __future__ import annotations

import json
import re
import signal
from datetime import datetime
from pathlib import Path

import pytest
from cryptography import x509

from arcana.repository.v1 import user_repository_pb2, user_repository_pb2_grpc
from launcher.certificates import make_certificates
from launcher.health import inner_tier_is_well
from launcher.peers import tls_variables
from tests.stores.waiting import eventually
from tests.system.client import Edge, bearer, expect, new_email, new_password
from tests.system.launcher_process import LauncherProcess
from tier_runtime.channel import ChannelSettings, open_channel
from tier_runtime.errors import AppError
from tier_runtime.tls.files import TlsFiles

SECONDS = 20.0
ADMIN = {"ARCANA_ADMIN_EMAIL": "admin@arcana.local", "ARCANA_ADMIN_PASSWORD": "Adm1n-passw0rd"}
SETTINGS = {"PASSWORD_HASH_METHOD": "scrypt:1024:8:1", **ADMIN}


def tell_a_story(launcher: LauncherProcess, home: Path) -> None:
    """Register, be mailed by the worker, sign in, and be seen by an admin."""
    with Edge(launcher.edge_url) as edge:
        email, password = new_email("grace"), new_password()
        user = expect(edge.register(email, password, "Grace Hopper"), 201)
        tokens = edge.sign_in(email, password)
        assert expect(edge.me(tokens.access), 200)["id"] == user["id"]
        assert expect(edge.refresh(tokens.refresh), 200)["access_token"]
        admin = edge.sign_in(ADMIN["ARCANA_ADMIN_EMAIL"], ADMIN["ARCANA_ADMIN_PASSWORD"])
        found = expect(edge.get(f"/users/{user['id']}", headers=bearer(admin.access)), 200)
        assert found["email"] == email
    mails = home / "mail"
    eventually(lambda: any(mails.glob("**/*.eml")), SECONDS, "a mail")


def end_of_all(folder: Path) -> datetime:
    """Return until when the certificates are good, which were made at once."""
    (ends,) = {
        x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc
        for path in folder.glob("*/tls.crt")
    }
    return ends


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_the_tiers_serve_each_other_only(tmp_path: Path, protocol: str) -> None:
    home = tmp_path / ".arcana"
    words = ("up", "--tls", "--protocol", protocol)
    with LauncherProcess(tmp_path, words, SETTINGS) as launcher:
        launcher.wait_until_up()
        tell_a_story(launcher, home)
        # It is told by nothing but the note that there is TLS.
        assert "All is well." in launcher.sister("health")
        ends = end_of_all(home / "tls")
        told = json.loads(launcher.sister("health", "--json"))["processes"]
        assert {each["name"]: each["mutual_tls"] for each in told} == {
            "controller": False,
            "service": True,
            "repository": True,
        }
        assert {each["certificate_end_time"] for each in told[1:]} == {f"{ends:%Y-%m-%dT%H:%M:%SZ}"}
        where = {name: launcher.environ[f"{name}_BIND"] for name in ("SERVICE", "REPOSITORY")}
        assert (
            f"Behind the edge, by mutual TLS: service {protocol}://{where['SERVICE']}, "
            f"repository {protocol}://{where['REPOSITORY']}."
        ) in launcher.log
        assert f"tls, good until {ends:%Y-%m-%d}. The edge itself speaks plaintext." in launcher.log
        assert "10 made" in launcher.sister("seed")

        url = f"{protocol}://{launcher.environ['REPOSITORY_BIND']}"
        assert not inner_tier_is_well("repository", url).is_well
        edge = TlsFiles(*map(Path, tls_variables(home / "tls", "controller").values()))
        with open_channel(url, ChannelSettings(tls=edge)) as channel:
            stub = user_repository_pb2_grpc.UserRepositoryStub(channel)
            with pytest.raises(AppError) as caught:
                stub.GetUser(user_repository_pb2.GetUserRequest(user_id="1"))
        assert caught.value.code == "PEER_NOT_ALLOWED"
        eventually(lambda: "peer_refused" in launcher.log, SECONDS)

        launcher.process.send_signal(signal.SIGINT)
        assert launcher.wait() == 0


def test_the_monolith_protects_the_port_for_admin_commands(tmp_path: Path) -> None:
    with LauncherProcess(tmp_path, ("up", "--tls", "--mode", "monolithic"), SETTINGS) as launcher:
        launcher.wait_until_up()
        tell_a_story(launcher, tmp_path / ".arcana")
        health = launcher.sister("health")
        assert "All is well." in health
        assert re.search(r"service .* gRPC, mutual TLS until \d{4}-\d\d-\d\d  grpc://", health)
        assert re.search(r"repository .* in place  ", health)
        url = f"grpc://{launcher.environ['SERVICE_BIND']}"
        assert f"Admin commands reach it at {url}, by mutual TLS." in launcher.log
        assert not inner_tier_is_well("service", url).is_well
        launcher.process.send_signal(signal.SIGINT)
        assert launcher.wait() == 0


def test_certificates_of_ones_own_and_made_ones_exclude_each_other(tmp_path: Path) -> None:
    settings = {**SETTINGS, **tls_variables(tmp_path / ".arcana" / "tls", "service")}
    make_certificates(tmp_path / ".arcana" / "tls")
    with LauncherProcess(tmp_path, ("up", "--tls"), settings) as launcher:
        assert launcher.wait() == 2
        assert "ARCANA_TLS: makes certificates for each process" in launcher.log
