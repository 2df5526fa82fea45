"""The service tier when more is asked than it can do, or its neighbour is away."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from grpc_health.v1 import (  # type: ignore[import-untyped]  # ships no types
    health_pb2,
    health_pb2_grpc,
)

from arcana.service.v1 import auth_service_pb2 as pb
from arcana.service.v1 import (
    auth_service_pb2_grpc,
    user_service_pb2,
    user_service_pb2_grpc,
)
from service_tier.assembly.services import make_services
from service_tier.repository import Repository
from service_tier.settings import ServiceSettings
from tests.fakes.audit import KeptActs
from tests.fakes.repository import FakeRepository
from tests.stores import TcpRelay
from tests.stores.waiting import eventually
from tests.tier.service.running import (
    FAST,
    OTHER_PASSWORD,
    PASSWORD,
    SYSTEM,
    fake_repository_server,
    service_on,
)
from tier_runtime.call import Actor, Call, call_scope
from tier_runtime.channel import open_channel
from tier_runtime.clock import SystemClock
from tier_runtime.deadline import Deadline
from tier_runtime.errors import AppError, Kind
from tier_runtime.health import HealthBoard
from tier_runtime.ids import Uuid7Source
from tier_runtime.logs import configure_logging, get_logger
from tier_runtime.server import build_server

EMAIL = "ada@example.org"
STORM = 60


class BlockedFunction:
    """A password function that a test holds up: every check waits until it is let go."""

    method = FAST

    def __init__(self) -> None:
        self.go = threading.Event()
        self.lock = threading.Lock()
        self.running = 0

    def hash(self, password: str) -> str:
        return f"{FAST}${password}"

    def verify(self, password_hash: str, password: str) -> bool:
        with self.lock:
            self.running += 1
        self.go.wait(30)
        return password_hash == f"{FAST}${password}"


@contextmanager
def acting(actor: Actor, seconds: float = 20.0) -> Iterator[None]:
    with call_scope(Call(actor, "request-1", Deadline.after(seconds))):
        yield


@pytest.fixture
def settings(tmp_path: Path) -> ServiceSettings:
    return ServiceSettings(
        service_bind="127.0.0.1:0",
        arcana_home=tmp_path,
        hash_concurrency=2,
        hash_queue=3,
        service_threads=4,
        service_max_streams=1,
    )


def test_a_storm_of_sign_ins_starves_nobody_else(
    fake: FakeRepository, settings: ServiceSettings
) -> None:
    function = BlockedFunction()
    services = make_services(
        settings,
        Repository.over(fake.channel()),
        function,
        SystemClock(),
        Uuid7Source(),
        audit=KeptActs(),
    )
    server = build_server(settings.server(), services, HealthBoard(), get_logger("storm"))
    with ExitStack() as stack:
        server.start()
        stack.callback(server.stop)
        channel = stack.enter_context(open_channel(f"grpc://{server.address}"))
        auth = auth_service_pb2_grpc.AuthServiceStub(channel)
        users = user_service_pb2_grpc.UserServiceStub(channel)
        user = auth.Register(pb.RegisterRequest(email=EMAIL, name="Ada", password=PASSWORD)).user
        outcomes: list[tuple[str, float | None]] = []

        def sign_in(_: int) -> None:
            with acting(Actor()):
                try:
                    auth.Login(pb.LoginRequest(email=EMAIL, password=PASSWORD))
                except AppError as error:
                    outcomes.append((error.code, error.retry_after))
                else:
                    outcomes.append(("OK", None))

        pool = stack.enter_context(ThreadPoolExecutor(STORM))
        stack.callback(function.go.set)
        storm = [pool.submit(sign_in, number) for number in range(STORM)]
        # Two hash, three wait, and the others were turned away at once.
        eventually(lambda: len(outcomes) == STORM - 5, what="the storm to be turned away")
        assert function.running == 2
        assert set(outcomes) == {("SERVICE_UNAVAILABLE", 1.0)}
        # With every slot and the whole queue taken, all other calls are answered, four at a time.
        with acting(SYSTEM, seconds=5):
            for _ in range(20):
                users.GetUser(user_service_pb2.GetUserRequest(user_id=user.id))
            assert len(list(users.StreamUsers(user_service_pb2.StreamUsersRequest()))) == 1
        function.go.set()
        for future in storm:
            future.result(20)
        assert outcomes.count(("OK", None)) == 5


def test_a_repository_that_goes_away_is_told_at_once_and_used_again_when_it_is_back(
    fake: FakeRepository, tmp_path: Path
) -> None:
    with (
        fake_repository_server(fake) as url,
        TcpRelay.to(url) as relay,
        service_on(relay.url, tmp_path) as service,
    ):
        service.register(EMAIL)
        relay.cut()
        with service.acting(Actor(), seconds=5), pytest.raises(AppError) as down:
            service.login(EMAIL)
        assert down.value.kind is Kind.UNAVAILABLE
        assert len(service.auth.GetJwks(pb.GetJwksRequest()).keys) == 1
        relay.restore()

        def signs_in() -> bool:
            try:
                service.login(EMAIL)
            except AppError:
                return False
            return True

        eventually(signs_in, seconds=3, what="the repository tier to be used again")


def test_a_repository_that_stalls_costs_no_more_than_the_deadline(
    fake: FakeRepository, tmp_path: Path
) -> None:
    with (
        fake_repository_server(fake) as url,
        TcpRelay.to(url) as relay,
        service_on(relay.url, tmp_path) as service,
    ):
        service.register(EMAIL)
        relay.stall()
        with service.acting(Actor(), seconds=0.5), pytest.raises(AppError) as late:
            service.login(EMAIL)
        assert late.value.kind in {Kind.DEADLINE, Kind.UNAVAILABLE}


def test_the_health_of_the_repository_and_its_stores_is_passed_on(
    fake: FakeRepository, tmp_path: Path
) -> None:
    names = ("tier.repository", "store.database", "store.cache")
    board = HealthBoard()
    server = build_server(
        ServiceSettings(service_bind="127.0.0.1:0").server(),
        fake.registrations(),
        board,
        get_logger("fake_repository"),
    )
    server.start()
    with ExitStack() as stack:
        stack.callback(server.stop)
        relay = stack.enter_context(TcpRelay.to(f"grpc://{server.address}"))
        service = stack.enter_context(service_on(relay.url, tmp_path))
        health = health_pb2_grpc.HealthStub(service.channel)

        def serving() -> dict[str, bool]:
            return {
                name: health.Check(health_pb2.HealthCheckRequest(service=name)).status
                == health_pb2.HealthCheckResponse.SERVING
                for name in names
            }

        board.set("store.database", serving=True)
        board.set("store.cache", serving=True)
        eventually(lambda: all(serving().values()), what="all to be well")
        board.set("store.cache", serving=False)
        eventually(
            lambda: (
                serving() == {"tier.repository": True, "store.database": True, "store.cache": False}
            ),
            what="the cache alone to be down",
        )
        relay.cut()
        eventually(lambda: not any(serving().values()), what="all to be down")
        own = health.Check(health_pb2.HealthCheckRequest(service=""))
        assert own.status == health_pb2.HealthCheckResponse.SERVING
        relay.restore()
        eventually(lambda: serving()["store.database"], what="the database to be well again")


def test_no_secret_and_no_address_is_logged_on_the_way(
    fake: FakeRepository, tmp_path: Path
) -> None:
    written = io.StringIO()
    configure_logging("service", "debug", stream=written)
    with fake_repository_server(fake) as url, service_on(url, tmp_path) as service:
        service.register(EMAIL)
        pair = service.login(EMAIL)
        with service.acting(Actor()):
            refreshed = service.auth.RefreshSession(
                pb.RefreshSessionRequest(refresh_token=pair.refresh_token)
            ).tokens
        with pytest.raises(AppError):
            service.login(EMAIL, OTHER_PASSWORD)
        with pytest.raises(AppError):
            service.register(EMAIL)
        with pytest.raises(AppError):
            service.auth.ConfirmPasswordReset(
                pb.ConfirmPasswordResetRequest(token="A" * 64, new_password=OTHER_PASSWORD)
            )
    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    assert any(line.get("request_id") == "request-1" for line in lines)
    for secret in (
        EMAIL,
        PASSWORD,
        OTHER_PASSWORD,
        pair.access_token,
        pair.refresh_token,
        refreshed.refresh_token,
        "A" * 64,
        FAST,
    ):
        assert secret not in written.getvalue()
