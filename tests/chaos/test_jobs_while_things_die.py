"""Jobs survive the death of whatever works on them, and whatever carries them."""

from __future__ import annotations

import os
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar

import pytest

from arcana.repository.v1 import job_pb2
from arcana.repository.v1 import job_repository_pb2 as pb
from arcana.repository.v1.job_repository_pb2_grpc import JobRepositoryStub
from service_tier.domain.mails import MailTemplate, WantedMail
from service_tier.mail_jobs import MailJobs
from tests.stores import Store, Stores
from tests.stores.local_servers import REDIS_OPTIONS, find
from tests.stores.servers import CannotProvideError, wait_for_redis
from tests.stores.waiting import eventually
from tests.system.client import Edge, bearer, expect, new_email
from tests.system.launcher_process import LauncherProcess
from tests.system.plan import Tier
from tests.system.ports import free_ports
from tests.system.processes import ArcanaProcesses
from tests.system.sizes import sized
from tests.tier.service.mail_server import MailServerLog, mail_server
from tier_runtime.channel import open_channel
from tier_runtime.errors import AppError
from tier_runtime.ids import Uuid7Source

T = TypeVar("T")
Killed: TypeAlias = Tier | Literal["redis"]

USERS = sized(32, 1000)
KILLS = sized(1, 20)
BULK_USERS = sized(150, 10_000)
# What is killed may be in the middle of so many mails: those a worker hands over at a time.
CONCURRENCY = 4
SECONDS = sized(120, 3600)
WELCOME = "Welcome to Arcana"
QUEUED, RUNNING = job_pb2.JOB_STATUS_QUEUED, job_pb2.JOB_STATUS_RUNNING
SUCCEEDED, FAILED = job_pb2.JOB_STATUS_SUCCEEDED, job_pb2.JOB_STATUS_FAILED


@dataclass
class Broker:
    """A Redis of this module's own, which forgets everything when it is killed."""

    program: str
    folder: Path
    port: int = field(default_factory=free_ports)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        options = ["--bind", "127.0.0.1", "--dir", str(self.folder), *REDIS_OPTIONS]
        self.process = subprocess.Popen(
            [self.program, "--port", str(self.port), *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_for_redis(self.url, 20)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()


@dataclass(frozen=True, slots=True)
class World:
    """Running tiers and a worker, a mail server, and a broker that can be killed."""

    arcana: ArcanaProcesses
    edge: Edge
    admin: dict[str, str]
    mails: MailServerLog
    broker: Broker
    jobs: JobRepositoryStub

    def job(self, job_id: str) -> job_pb2.Job:
        return self.jobs.GetJob(pb.GetJobRequest(job_id=job_id)).job

    def enqueue(self, *jobs: pb.NewJob) -> None:
        """Enqueue jobs, however long that takes: their ids make it safe to ask again."""
        _answered(lambda: self.jobs.EnqueueJobs(pb.EnqueueJobsRequest(jobs=jobs)))

    def count(self, status: job_pb2.JobStatus.ValueType, name: str = "send-email") -> int:
        wanted = pb.ListJobsRequest(filter=pb.JobFilter(status=status, name=name))
        return _answered(lambda: self.jobs.ListJobs(wanted)).page.total

    def kill(self, what: Killed) -> None:
        if what == "redis":
            self.broker.kill()
            self.broker.start()
        else:
            self.arcana.kill(what)
            self.arcana.restart(what)

    def welcomed(self, since: int) -> Counter[str]:
        """Count the mails of welcome to each address, from the given one on."""
        found = zip(self.mails.recipients[since:], self.mails.mails[since:], strict=False)
        return Counter(address for address, mail in found if mail["Subject"] == WELCOME)

    def enqueue_by_edge(self, path: str, body: dict[str, Any] | None = None) -> str:
        answer = expect(self.edge.post(f"/jobs/{path}", body, headers=self.admin), 202)
        return str(answer["id"])

    def ends(self, job_id: str) -> dict[str, Any]:
        def ended() -> dict[str, Any] | None:
            job = expect(self.edge.get(f"/jobs/{job_id}", headers=self.admin), 200)
            return job if job["finished_at"] else None

        job = eventually(ended, SECONDS, "the end of a job", interval=0.1)
        assert job is not None
        return job


def _answered(ask: Callable[[], T]) -> T:
    """Ask the repository tier until it answers: after a kill its channel has a way to find back."""

    def answer() -> T:
        try:
            return ask()
        except AppError as error:
            raise AssertionError(error.code) from error

    return eventually(answer, 60, "an answer of the repository tier", interval=0.1)


@pytest.fixture(scope="module")
def world(
    stores: Stores, mysql_server_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    try:
        program = find("redis-server", "valkey-server")
    except CannotProvideError as error:
        pytest.skip(f"a Redis to be killed is needed: {error}")
    broker = Broker(program, tmp_path_factory.mktemp("broker"))
    with ExitStack() as running:
        broker.start()
        running.callback(broker.kill)
        mails = running.enter_context(mail_server())
        store = Store("real", stores.new_store("real").database_url, broker.url)
        settings = {
            "SMTP_URL": f"smtp://127.0.0.1:{mails.port}",
            "JOB_LEASE_SECONDS": "3",
            "WEB_WORKERS": "1",
            "WORKER_CONCURRENCY": str(CONCURRENCY),
        }
        arcana = ArcanaProcesses(tmp_path_factory.mktemp("jobs"), store, settings)
        running.enter_context(arcana)
        arcana.start("worker")
        edge = running.enter_context(Edge(arcana.edge_url))
        admin = bearer(edge.sign_in(arcana.admin.email, arcana.admin.password).access)
        channel = running.enter_context(open_channel(arcana.repository_url))
        yield World(arcana, edge, admin, mails, broker, JobRepositoryStub(channel))


def test_of_three_schedulers_each_tick_wins_once_and_the_report_is_there(
    world: World, tmp_path_factory: pytest.TempPathFactory
) -> None:
    settings = {
        **world.arcana.environ,
        "SERVICE_URL": world.arcana.service_url,
        "ARCANA_PARENT_PID": str(os.getpid()),
    }
    with ExitStack() as running:
        others = [
            running.enter_context(
                LauncherProcess(tmp_path_factory.mktemp("worker"), ("worker",), settings)
            )
            for _ in range(2)
        ]
        eventually(lambda: all('"working"' in other.log for other in others), 40, "the workers")
        yesterday = datetime.now(UTC).date() - timedelta(days=1)
        due = yesterday if datetime.now(UTC).hour >= 2 else yesterday - timedelta(days=1)
        eventually(lambda: world.count(SUCCEEDED, "daily-report") == 1, 30, "the report")
        report = expect(world.edge.get(f"/reports/daily/{due}", headers=world.admin), 200)
        assert report["date"] == str(due)
        eventually(lambda: world.count(SUCCEEDED, "cleanup-tokens") == 1, 30, "the cleanup")
        for other in others:
            other.process.send_signal(signal.SIGTERM)
        assert [other.wait() for other in others] == [0, 0]
    assert not any("job_not_scheduled" in other.log for other in others)
    for name in ("daily-report", "cleanup-tokens"):
        listed = pb.ListJobsRequest(filter=pb.JobFilter(name=name))
        assert world.jobs.ListJobs(listed).page.total == 1, name


def test_who_registers_is_welcomed_whatever_is_killed_meanwhile(world: World) -> None:
    """The repository tier's relay and the service tier's consumer die with their processes."""
    emails = [new_email() for _ in range(USERS)]
    before = len(world.mails.recipients)
    failed_before = world.count(FAILED)
    kinds: tuple[Killed, ...] = ("worker", "service", "repository", "redis")
    turns = [kind for _ in range(KILLS) for kind in kinds]
    size = -(-USERS // len(turns))
    with ThreadPoolExecutor(CONCURRENCY) as pool:
        registered: list[Future[None]] = []
        for number, kind in enumerate(turns):
            emails_now = emails[number * size : (number + 1) * size]
            part = [pool.submit(_register, world, email) for email in emails_now]
            # What is killed then has something to lose: the others are on their way.
            wait(part, 120, FIRST_COMPLETED)
            world.kill(kind)
            registered += part
        for one in registered:
            one.result()
    eventually(
        lambda: world.welcomed(before).keys() >= set(emails), SECONDS, "the mails", interval=0.2
    )
    eventually(lambda: world.count(QUEUED) + world.count(RUNNING) == 0, SECONDS, "no job left")
    welcomed = world.welcomed(before)
    assert welcomed.keys() == set(emails)
    # SMTP cannot know that a mail was taken whose sender died before it could note that.
    twice = welcomed.total() - len(welcomed)
    print(f"{USERS} users, {len(turns)} kills, {twice} mails twice")
    assert twice <= len(turns) * CONCURRENCY
    assert world.count(FAILED) == failed_before


def _register(world: World, email: str) -> None:
    """Register until it is known to be done."""

    def known() -> bool:
        with Edge(world.arcana.edge_url) as edge:
            # 409: an earlier try did it, and its answer was lost with a tier.
            return edge.register(email).status_code in (201, 409)

    eventually(known, 120, f"{email} registered", interval=0.1)


def test_mail_to_many_goes_on_after_a_death_and_each_gets_one(world: World) -> None:
    world.arcana.command("seed", "--users", str(BULK_USERS))
    before = len(world.mails.recipients)
    done_before = world.count(SUCCEEDED)
    body = {
        "all": True,
        "subject": "We move",
        "template": "announcement",
        "context": {"body": "On Sunday."},
    }
    job_id = world.enqueue_by_edge("bulk-email", body)
    eventually(lambda: world.job(job_id).progress.done > 0, 30, "progress", interval=0.01)
    world.kill("service")
    world.kill("worker")
    job = world.ends(job_id)
    assert job["status"] == "succeeded", job
    mailed = int(job["result"]["mails"])
    assert mailed >= BULK_USERS
    assert job["progress"] == {"done": mailed, "total": mailed}
    eventually(
        lambda: world.count(SUCCEEDED) == done_before + mailed, SECONDS, "the mails", interval=0.5
    )
    sent = Counter(str(mail["Message-ID"]) for mail in world.mails.mails[before:])
    recipients = Counter(world.mails.recipients[before:])
    assert len(sent) == len(recipients) == mailed
    assert sent.total() - len(sent) <= 2 * CONCURRENCY


def test_a_poison_job_ends_failed_with_its_error_and_blocks_nothing(world: World) -> None:
    ids = Uuid7Source()
    poison = [
        pb.NewJob(id=ids.new_id(), name="send-email", payload=b"\xff", max_attempts=3)
        for _ in range(2 * CONCURRENCY)
    ]
    unknown = pb.NewJob(id=ids.new_id(), name="fold-laundry", max_attempts=2)
    user = expect(world.edge.register(), 201)["id"]
    good = MailJobs(ids).new(WantedMail(MailTemplate.WELCOME, user), unique_key="")
    world.enqueue(*poison, unknown, good)
    assert world.ends(good.id)["status"] == "succeeded"
    for job in poison:
        dead = world.ends(job.id)
        assert (dead["status"], dead["error"]["code"]) == ("failed", "VALIDATION_FAILED")
    laundry = world.ends(unknown.id)
    assert (laundry["status"], laundry["attempts"], laundry["error"]["code"]) == (
        "failed",
        2,
        "NOT_FOUND",
    )
    retried = expect(world.edge.post(f"/jobs/{poison[0].id}/retry", headers=world.admin), 202)
    assert retried["status"] == "queued"
    assert world.ends(poison[0].id)["attempts"] == 2


def test_a_worker_that_is_told_to_end_does_so_in_peace(world: World) -> None:
    code = world.arcana.terminate("worker")
    # For the tests that come after this one, in whatever order.
    world.arcana.restart("worker")
    assert code == 0
