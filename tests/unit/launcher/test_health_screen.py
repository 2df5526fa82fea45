"""How the health of everything looks, to people and to programs."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration

from arcana.common.v1 import tier_status_pb2 as pb
from launcher.health import Condition, Report
from launcher.health_screen import document_of, screen_of
from launcher.hops import Hop
from launcher.settings import LauncherSettings

EDGE, SERVICE, REPOSITORY = "http://127.0.0.1:5000", "grpc://127.0.0.1:1", "grpc://127.0.0.1:2"
HOP = Hop("grpc")
SECURED = Hop("grpc", is_tls=True, certificate_ends=datetime(2027, 12, 1, 8, 30, tzinfo=UTC))


def repository_status(**fields: Any) -> pb.TierStatus:
    told: dict[str, Any] = {
        "tier": "repository",
        "version": "1.2.3",
        "uptime": Duration(seconds=90_061),
        "services": ["arcana.repository.v1.JobRepository"],
        "database": pb.DatabaseStatus(kind="mysql", revision="0041", needed_revision="0042"),
        "cache": pb.CacheStatus(kind="redis", breaker_open=True),
        "events": pb.EventsStatus(
            unpublished_count=3,
            oldest_unpublished_age=Duration(seconds=75),
            unsettled_count=1,
            dead_count=2,
        ),
        "jobs": pb.JobsStatus(waiting_count=4, running_count=5, failed_count=6),
    }
    return pb.TierStatus(**told | fields)


def report(
    status: pb.TierStatus | None, *, cache: str = "", service: str = "", hop: Hop = HOP
) -> Report:
    version = status.version if status else ""
    return Report(
        [
            Condition("controller", EDGE, version="1.2.3", hop=Hop("http")),
            Condition("service", SERVICE, service, hop=Hop("grpc", hop.is_tls)),
            Condition("repository", REPOSITORY, version=version, status=status, hop=hop),
        ],
        [
            Condition("database", REPOSITORY, status=status),
            Condition("cache", REPOSITORY, cache, status=status),
        ],
    )


def screen(told: Report, **settings: Any) -> list[str]:
    return screen_of(LauncherSettings(**settings), told)


def test_all_is_on_one_screen() -> None:
    assert screen(report(repository_status())) == [
        "Arcana, layered, with gRPC between the tiers.",
        "",
        "process     state  version  up for   called over      address",
        "controller  ok     1.2.3    -        HTTP, plaintext  http://127.0.0.1:5000",
        "service     ok     -        -        gRPC, plaintext  grpc://127.0.0.1:1",
        "repository  ok     1.2.3    1 d 1 h  gRPC, plaintext  grpc://127.0.0.1:2",
        "",
        "store     state  what it is                           as seen from",
        "database  ok     mysql, revision 0041 (needed: 0042)  grpc://127.0.0.1:2",
        "cache     ok     redis, breaker open                  grpc://127.0.0.1:2",
        "",
        "events    3 (the oldest for 1 min 15 s) unpublished, 1 unsettled, 2 dead",
        "jobs      4 waiting, 5 running, 6 given up",
        "",
        "All is well.",
    ]


def test_mutual_tls_is_told_of_each_process_with_the_end_of_its_certificate() -> None:
    told = report(repository_status(), hop=SECURED)
    lines = screen(told, arcana_tls=True)
    assert lines[0] == "Arcana, layered, with gRPC over mutual TLS between the tiers."
    assert [re.split(r"  +", line)[4] for line in lines[3:6]] == [
        "HTTP, plaintext",
        "gRPC, mutual TLS",
        "gRPC, mutual TLS until 2027-12-01",
    ]
    processes = document_of(LauncherSettings(), told)["processes"]
    assert [each["mutual_tls"] for each in processes] == [False, True, True]
    assert [each["transport"] for each in processes] == ["http", "grpc", "grpc"]
    assert [each["certificate_end_time"] for each in processes] == [
        *(None, None),
        "2027-12-01T08:30:00Z",
    ]


def test_where_no_socket_is_in_between_there_is_nothing_to_protect() -> None:
    told = report(repository_status(), hop=Hop("inproc"))
    assert "  in place  " in screen(told)[5]
    repository = document_of(LauncherSettings(), told)["processes"][2]
    assert (repository["transport"], repository["mutual_tls"]) == ("inproc", None)


def test_certificates_of_ones_own_are_mutual_tls_too() -> None:
    names = ("tls_cert_file", "tls_key_file", "tls_ca_file")
    head = screen(report(None), **{name: Path(name) for name in names})[0]
    assert head.endswith("gRPC over mutual TLS between the tiers.")


def test_what_does_not_answer_is_told_with_what_is_not_known_of_it() -> None:
    lines = screen(report(None, service="does not answer (SERVICE_UNAVAILABLE)"))
    assert "service     does not answer (SERVICE_UNAVAILABLE)  -        -       " in "\n".join(
        lines
    )
    assert "events    not known" in lines
    assert "jobs      not known" in lines
    assert lines[-1] == "Not well: service."


def test_a_tier_that_tells_little_is_shown_with_that() -> None:
    lines = screen(report(pb.TierStatus(tier="repository")))
    assert any(line.startswith("database  ok     -") for line in lines)
    silent = repository_status(database=pb.DatabaseStatus(kind="mysql", needed_revision="0042"))
    lines = screen(report(silent))
    assert any("mysql, revision not known (needed: 0042)" in line for line in lines)


def test_without_a_cache_requests_are_served_more_slowly() -> None:
    told = report(repository_status(), cache="not_serving")
    assert screen(told)[-1] == "Degraded: reads go to the database."
    assert document_of(LauncherSettings(), told)["status"] == "degraded"


@pytest.mark.parametrize(
    ("settings", "head"),
    [
        (
            {"deployment_mode": "microservices", "communication_protocol": "http"},
            "Arcana, microservices, with REST between the tiers.",
        ),
        (
            {"deployment_mode": "monolithic"},
            "Arcana, monolithic: one process with all tiers, asked where its service tier listens.",
        ),
    ],
)
def test_the_head_says_how_the_tiers_are_wired(settings: dict[str, Any], head: str) -> None:
    assert screen(report(None), **settings)[0] == head


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 s"), (59, "59 s"), (60, "1 min 0 s"), (3_600, "1 h 0 min"), (172_800, "2 d 0 h")],
)
def test_an_age_is_said_in_its_two_largest_units(seconds: int, said: str) -> None:
    told = report(repository_status(uptime=Duration(seconds=seconds)))
    assert f"  {said}  " in screen(told)[5]


def test_the_document_has_all_that_the_screen_has() -> None:
    document = document_of(LauncherSettings(), report(repository_status()))
    assert json.loads(json.dumps(document)) == document
    assert (document["status"], document["mode"], document["protocol"]) == ("ok", "layered", "grpc")
    assert document["processes"][2] == {
        "name": "repository",
        "url": REPOSITORY,
        "ok": True,
        "detail": "",
        "version": "1.2.3",
        "uptime_seconds": 90_061,
        "services": ["arcana.repository.v1.JobRepository"],
        "transport": "grpc",
        "mutual_tls": False,
        "certificate_end_time": None,
    }
    database, cache = document["stores"]
    assert (database["kind"], database["revision"], database["needed_revision"]) == (
        "mysql",
        "0041",
        "0042",
    )
    assert (cache["kind"], cache["breaker_open"]) == ("redis", True)
    assert document["events"] == {
        "unpublished_count": 3,
        "oldest_unpublished_age_seconds": 75,
        "unsettled_count": 1,
        "oldest_unsettled_age_seconds": None,
        "dead_count": 2,
    }
    assert document["jobs"] == {
        "waiting_count": 4,
        "oldest_due_age_seconds": None,
        "running_count": 5,
        "failed_count": 6,
    }


def test_without_the_log_of_events_the_outbox_is_told() -> None:
    told = report(repository_status(events=pb.EventsStatus(unpublished_count=3)))
    lines = screen(told)
    assert "events    3 unpublished; what consumers are behind is not known" in lines
    events = document_of(LauncherSettings(), told)["events"]
    assert (events["unpublished_count"], events["unsettled_count"]) == (3, None)


def test_what_is_not_known_is_null_in_the_document() -> None:
    document = document_of(LauncherSettings(), report(None, service="not_serving"))
    assert document["status"] == "down"
    assert document["processes"][1]["detail"] == "not_serving"
    assert document["processes"][1]["version"] is None
    assert (document["events"], document["jobs"]) == (None, None)
    assert document["stores"][0]["kind"] is None
