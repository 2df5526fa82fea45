"""The service tier as a process: it says why it cannot start, and ends cleanly when told to."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest

from arcana.service.v1 import auth_service_pb2, auth_service_pb2_grpc
from tests.fakes.repository import FakeRepository
from tests.system.processes import new_email
from tests.tier.service.running import FAST, fake_repository_server
from tier_runtime.channel import open_channel


def start(home: Path, **settings: str) -> subprocess.Popen[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("JWT_")}
    return subprocess.Popen(
        [sys.executable, "-m", "service_tier.main"],
        env=environ | {"ARCANA_HOME": str(home), "PASSWORD_HASH_METHOD": FAST} | settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"JWT_ALGORITHM": "HS256"}, "JWT_SECRET"),
        ({"REPOSITORY_URL": "ftp://127.0.0.1:1"}, "dns, grpc"),
        ({"SERVICE_BIND": "nowhere"}, "host:port"),
        ({"JWT_SIGNING_KEY_FILE": "missing.pem"}, "missing.pem"),
    ],
)
def test_what_keeps_it_from_starting_is_one_line(
    tmp_path: Path, settings: dict[str, str], told: str
) -> None:
    process = start(tmp_path, **settings)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 2
    assert told in stderr
    assert len(stderr.splitlines()) == 1


def test_it_serves_until_it_is_told_to_end_and_then_ends_with_0(
    tmp_path: Path, fake: FakeRepository
) -> None:
    with fake_repository_server(fake) as url:
        process = start(tmp_path, SERVICE_BIND="127.0.0.1:0", REPOSITORY_URL=url)
        try:
            assert process.stdout is not None
            # Its neighbour may be known to be well before that.
            lines = (json.loads(line) for line in process.stdout)
            serving = next(line for line in lines if line["event"] == "serving")
            assert serving["tier"] == "service"
            with open_channel(f"grpc://{serving['address']}") as channel:
                stub = auth_service_pb2_grpc.AuthServiceStub(channel)
                request = auth_service_pb2.RegisterRequest(
                    email="ada@example.org", name="Ada", password="Quiet-River-42-Stones"
                )
                assert stub.Register(request).user.id
        finally:
            process.send_signal(signal.SIGTERM)
            stdout, stderr = process.communicate(timeout=30)
    assert (process.returncode, stderr) == (0, "")
    assert json.loads(stdout.splitlines()[-1])["event"] == "stopped"
    assert sorted(file.name for file in (tmp_path / "keys").iterdir()) == [
        "jwt_signing_key.pem",
        "token_secret",
    ]


def register(url: str) -> bool:
    with open_channel(url) as channel:
        stub = auth_service_pb2_grpc.AuthServiceStub(channel)
        request = auth_service_pb2.RegisterRequest(
            email=new_email(), name="Ada", password="Quiet-River-42-Stones"
        )
        return bool(stub.Register(request).user.id)


@pytest.mark.parametrize(("protocol", "workers"), [("http", 1), ("http", 2), ("grpc", 2)])
def test_it_serves_by_every_transport_and_by_several_processes(
    tmp_path: Path, fake: FakeRepository, protocol: str, workers: int
) -> None:
    listening = 1 if protocol == "http" else workers
    with fake_repository_server(fake) as url:
        process = start(
            tmp_path,
            SERVICE_BIND="127.0.0.1:0",
            REPOSITORY_URL=url,
            COMMUNICATION_PROTOCOL=protocol,
            WORKERS=str(workers),
        )
        try:
            assert process.stdout is not None
            lines = (json.loads(line) for line in process.stdout)
            serving = (line["address"] for line in lines if line["event"] == "serving")
            urls = [f"{protocol}://{address}" for address in islice(serving, listening)]
            assert all(register(url) for url in urls)
        finally:
            process.send_signal(signal.SIGTERM)
            _, stderr = process.communicate(timeout=30)
    assert (process.returncode, stderr) == (0, "")


def test_over_http_too_what_keeps_it_from_starting_is_one_line(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.write_text("no folder")
    process = start(home, SERVICE_BIND="127.0.0.1:0", COMMUNICATION_PROTOCOL="http")
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 2
    assert stderr.startswith(f"Cannot keep a secret in {home}")
    assert stderr.count("\n") == 1
