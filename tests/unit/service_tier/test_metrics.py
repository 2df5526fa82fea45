"""What the service tier counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from service_tier import metrics
from tests.metering import Counted
from tests.unit.service_tier.harness import EMAIL, PASSWORD, Harness
from tier_runtime.errors import AppError, Kind
from tier_runtime.metrics import series


@pytest.fixture
def counted() -> Counted:
    return Counted()


@pytest.fixture
def harness(tmp_path: Path, counted: Counted) -> Harness:
    return Harness(tmp_path, counted.meters)


def test_sign_ins_are_counted_by_how_they_ended(harness: Harness, counted: Counted) -> None:
    harness.register()
    harness.login()
    for email, password in ((EMAIL, "Wrong-Passw0rd"), ("nobody@example.org", PASSWORD)):
        with pytest.raises(AppError):
            harness.login(email, password)

    for outcome in ("success", "wrong_password", "unknown_account"):
        assert counted.value(metrics.LOGINS, outcome) == 1, outcome
    assert counted.value(metrics.LOGINS, "not_decided") is None


def test_a_sign_in_that_nobody_could_decide_is_counted_as_that(
    harness: Harness, counted: Counted
) -> None:
    def down(_: object) -> None:
        raise AppError(Kind.UNAVAILABLE, "SERVICE_UNAVAILABLE", "Down.")

    harness.channel.before["GetCredentials"] = down
    with pytest.raises(AppError):
        harness.login()

    assert counted.all_labels(metrics.LOGINS) == {("not_decided",)}


def test_an_attempt_at_a_job_is_counted_with_its_time() -> None:
    counted, now = Counted(), [0.0]
    meter = metrics.JobMeter(counted.meters, lambda: now[0])

    with meter.attempt("daily-report") as ended:
        assert counted.value(metrics.JOBS_IN_PROGRESS, "daily-report") == 1
        now[0] = 7.0
        ended("succeeded")

    assert counted.value(metrics.JOBS_IN_PROGRESS, "daily-report") == 0
    assert counted.value(metrics.JOB_ATTEMPTS, "daily-report", "succeeded") == 1
    total = counted.registry.get_sample_value(
        f"{metrics.JOB_SECONDS.name}_sum", {"name": "daily-report"}
    )
    assert total == 7.0


def test_an_attempt_that_fails_is_over_too() -> None:
    counted = Counted()
    with pytest.raises(AppError), metrics.JobMeter(counted.meters).attempt("daily-report"):
        raise AppError(Kind.DEADLINE, "DEADLINE_EXCEEDED", "Too late.")

    assert counted.value(metrics.JOBS_IN_PROGRESS, "daily-report") == 0
    assert counted.value(metrics.JOB_SECONDS, "daily-report") == 1
    assert counted.all_labels(metrics.JOB_ATTEMPTS) == set()


def test_a_job_that_was_never_given_up_is_told_as_that(harness: Harness, counted: Counted) -> None:
    assert counted.value(metrics.JOB_ATTEMPTS, "send-email", "failed") == 0
    assert counted.value(metrics.JOB_ATTEMPTS, metrics.UNKNOWN_JOB, "failed") == 0


def test_events_are_counted_by_how_they_ended_if_anybody_counts(counted: Counted) -> None:
    metrics.event_meter(counted.meters)("done")
    metrics.event_meter(None)("done")
    metrics.login_meter(None)("success")

    assert counted.value(metrics.EVENTS, "done") == 1


def test_reads_that_share_rpcs_are_known_from_the_beginning(
    harness: Harness, counted: Counted
) -> None:
    assert counted.value(series.READS_ASKED, "user") == 0
    assert counted.value(series.READS_SENT, "product") == 0
