"""A running system with everything in it that rows of the contract are asked with."""

from __future__ import annotations

import contextlib
import functools
import secrets
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from arcana.service.v1.job_service_pb2 import JOB_OUTCOME_SUCCEEDED, RunJobRequest
from arcana.service.v1.job_service_pb2_grpc import JobServiceStub
from launcher.accounts import system_call
from tests.stores import Store, Stores
from tests.stores.waiting import eventually
from tests.system.client import Account, Edge, Observer, Tokens, expect
from tests.system.composed import Composed
from tests.system.discretion import watched_edge
from tests.system.mailbox import Mailbox
from tests.system.processes import ArcanaProcesses
from tests.system.relays import Hop, Relays
from tests.system.running import RunningSystem
from tests.system.service_containers import ServiceContainers
from tests.system.shop import Shop
from tests.system.wiring import Place, Wiring
from tier_runtime.channel import open_channel


@dataclass
class World:
    """The running system, who lives in it, and the secrets that only its operator has.

    Attributes:
        between: takes the service tier away from the edge, where there is a hop to it.
        signing_key: what access tokens are signed with.
    """

    system: RunningSystem
    edge: Edge
    between: Hop
    mailbox: Mailbox
    signing_key: Ed25519PrivateKey
    admin: Account = field(init=False)

    def __post_init__(self) -> None:
        credentials = self.system.admin
        tokens = self.edge.sign_in(credentials.email, credentials.password)
        me = expect(self.edge.me(tokens.access), 200)
        self.admin = Account(me["id"], credentials.email, credentials.password, tokens)

    @property
    def arcana(self) -> ArcanaProcesses:
        """The system, where it is processes of the tests."""
        assert isinstance(self.system, ArcanaProcesses), "containers are not the tests' to end"
        return self.system

    @property
    def shop(self) -> Shop:
        """Where tests get their products and orders."""
        return Shop(self.edge, self.admin)

    @functools.cached_property
    def resident(self) -> Account:
        """Somebody signed in whom no test may change."""
        return self.edge.new_account("Resident")

    @functools.cached_property
    def signed_out(self) -> Account:
        """Somebody whose session has ended."""
        account = self.edge.new_account("Signed Out")
        self.edge.post("/auth/logout-all", headers=account.bearer)
        return account

    def wait_until_back(self) -> None:
        """Wait until the edge has found its way back to every service that answers requests."""
        resident = self.resident

        def is_back() -> bool:
            return (
                self.edge.login(resident.email, resident.password).status_code == 200
                and self.edge.get("/users/me", headers=resident.bearer).status_code == 200
                and self.edge.get("/products").status_code == 200
                and self.edge.get("/orders", headers=resident.bearer).status_code == 200
            )

        eventually(is_back, 10, "the edge's way back to the service tier")

    def have_done(self, job_id: str) -> None:
        """Have a job done, and wait for it; nobody else works on jobs."""
        if isinstance(self.system, Composed):
            with self.system.one_more("worker"):
                path = f"/jobs/{job_id}"
                eventually(
                    lambda: (
                        expect(self.edge.get(path, headers=self.admin.bearer), 200)["status"]
                        == "succeeded"
                    ),
                    20,
                    "the end of the job",
                )
            return
        urls = self.arcana.service_urls
        with open_channel(urls.get("jobs", self.arcana.service_url)) as channel, system_call():
            answer = JobServiceStub(channel).RunJob(RunJobRequest(job_id=job_id))
        assert answer.outcome == JOB_OUTCOME_SUCCEEDED

    def newcomer(self) -> Account:
        """Register somebody whom the calling test may change as it likes."""
        return self.edge.new_account("Newcomer")

    def retold(self, access_token: str, **changes: Any) -> str:
        """Sign a token again after changing claims; None takes one away."""
        header = jwt.get_unverified_header(access_token)
        claims = jwt.decode(access_token, options={"verify_signature": False}) | changes
        kept = {name: value for name, value in claims.items() if value is not None}
        names = {"typ": header["typ"], "kid": header["kid"]}
        return jwt.encode(kept, self.signing_key, algorithm="EdDSA", headers=names)

    def expired(self, tokens: Tokens) -> str:
        """Give an access token that was good until an hour ago."""
        now = int(time.time())
        return self.retold(tokens.access, iat=now - 7200, exp=now - 3600)


@contextlib.contextmanager
def world_at(
    place: Place, stores: Stores, folder: Path, observe: Observer | None = None, **settings: str
) -> Iterator[World]:
    """Give the world of a place.

    Containers were told all when they were started, so settings make one more edge of them, which
    is the only tier that is told any.
    """
    if not place.wiring.is_composed:
        store = stores.new_store(place.kind)
        with open_world(store, folder, observe, place.wiring, **settings) as world:
            yield world
        return
    with ExitStack() as running:
        system = running.enter_context(Composed(place.wiring))
        if settings:
            system = running.enter_context(system.one_more_edge(**settings))
        edge = running.enter_context(watched_edge(system, observe))
        signing_key = load_pem_private_key(
            system.secret("auth", "jwt_signing_key.pem").encode(), password=None
        )
        assert isinstance(signing_key, Ed25519PrivateKey)
        mailbox = Mailbox(system.store(), system.secret("service", "token_secret"))
        yield World(system, edge, ServiceContainers(system), mailbox, signing_key)


@contextlib.contextmanager
def open_world(
    store: Store,
    folder: Path,
    observe: Observer | None = None,
    wiring: Wiring | None = None,
    **settings: str,
) -> Iterator[World]:
    signing_key = Ed25519PrivateKey.generate()
    key_file = folder / "signing.pem"
    key_file.write_bytes(
        signing_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    key_file.chmod(0o600)
    token_secret = secrets.token_hex(32)
    arcana = ArcanaProcesses(
        folder,
        store,
        {"JWT_SIGNING_KEY_FILE": str(key_file), "TOKEN_SECRET": token_secret} | settings,
        wiring,
    )
    with ExitStack() as running:
        between = running.enter_context(Relays(arcana.service_urls))
        arcana.call_services_at(between.urls)
        running.enter_context(arcana)
        edge = running.enter_context(watched_edge(arcana, observe))
        yield World(arcana, edge, between, Mailbox(store, token_secret), signing_key)
