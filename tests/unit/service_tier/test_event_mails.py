"""Which mails answer which events."""

from __future__ import annotations

import json
from typing import Any

import pytest

from arcana.common.v1.domain_event_pb2 import DomainEvent
from arcana.service.v1 import user_pb2
from service_tier.domain.jobs import JobName
from service_tier.domain.orders import OrderStatus
from service_tier.event_mails import EventMails
from service_tier.mail_jobs import MailJobs, mail_from_payload
from service_tier.one_time_tokens import Purpose
from service_tier.repository import Repository
from tests.fakes.clock import FakeClock
from tests.unit.service_tier.harness import Harness
from tier_runtime.errors import AppError
from tier_runtime.ids import Uuid7Source
from tier_runtime.timestamps import timestamp_from

_IDS = Uuid7Source()
USER, TOKEN, ORDER, PRODUCT = (_IDS.new_id() for _ in range(4))


@pytest.fixture
def mails(harness: Harness) -> EventMails:
    return EventMails(Repository.over(harness.channel), MailJobs(_IDS), harness.clock)


def event(event_type: str, **payload: str) -> DomainEvent:
    now = timestamp_from(FakeClock().now())
    return DomainEvent(id=_IDS.new_id(), type=event_type, occurred_time=now, payload=payload)


def written(mails: EventMails, about: DomainEvent) -> list[tuple[str, str, dict[str, Any]]]:
    """Return template, user and facts of each mail."""
    jobs = mails.reactions()[about.type](about)
    assert {job.name for job in jobs} <= {JobName.SEND_EMAIL}
    keys = [job.unique_key for job in jobs]
    assert all(key.startswith(f"event:{about.id}:") for key in keys)
    assert len(set(keys)) == len(keys)
    read = [mail_from_payload(job.payload) for job in jobs]
    return [(mail.template.value, mail.user_id, dict(mail.facts)) for mail in read]


def test_who_registers_is_welcomed_and_asked_to_verify(mails: EventMails) -> None:
    assert written(mails, event("auth.user_registered", user_id=USER, token_id=TOKEN)) == [
        ("welcome", USER, {}),
        ("verify-email", USER, {"token_id": TOKEN}),
    ]


@pytest.mark.parametrize("event_type", ["auth.verification_requested", "user.updated"])
def test_a_new_token_for_an_address_is_mailed(mails: EventMails, event_type: str) -> None:
    about = event(event_type, user_id=USER, token_id=TOKEN)
    assert written(mails, about) == [("verify-email", USER, {"token_id": TOKEN})]


def test_a_change_that_makes_no_token_calls_for_no_mail(mails: EventMails) -> None:
    assert written(mails, event("user.updated", user_id=USER, changed="name")) == []


def test_a_forgotten_password_is_answered_by_the_id_of_its_token(mails: EventMails) -> None:
    about = event("auth.password_reset_requested", user_id=USER, token_id=TOKEN)
    assert written(mails, about) == [("password-reset", USER, {"token_id": TOKEN})]


@pytest.mark.parametrize("status", [*OrderStatus])
def test_every_step_of_an_order_is_told(mails: EventMails, status: OrderStatus) -> None:
    step = "created" if status == OrderStatus.PENDING else status.value
    about = event(f"order.{step}", order_id=ORDER, user_id=USER)
    assert written(mails, about) == [(f"order-{step}", USER, {"order_id": ORDER})]


@pytest.mark.parametrize("step", ["low_stock", "out_of_stock"])
def test_every_active_admin_is_told_of_a_low_stock(
    mails: EventMails, harness: Harness, step: str
) -> None:
    admins = [harness.create(f"admin{number}@example.org", "admin") for number in range(102)]
    harness.create("user@example.org")
    harness.set_status(admins[0].id, user_pb2.USER_STATUS_SUSPENDED)
    about = event(f"product.{step}", product_id=PRODUCT, stock="1")
    told = written(mails, about)
    assert {user for _, user, _ in told} == {admin.id for admin in admins[1:]}
    assert {(template, facts["product_id"]) for template, _, facts in told} == {
        (step.replace("_", "-"), PRODUCT)
    }


@pytest.mark.parametrize(
    ("event_type", "payload"),
    [
        ("auth.user_registered", {"user_id": USER}),
        ("auth.password_reset_requested", {"token_id": TOKEN}),
        ("order.paid", {"user_id": USER}),
    ],
)
def test_an_event_that_lacks_what_its_mail_needs_is_refused(
    mails: EventMails, event_type: str, payload: dict[str, str]
) -> None:
    with pytest.raises(AppError, match="has no"):
        mails.reactions()[event_type](event(event_type, **payload))


def test_no_job_of_a_real_registration_holds_a_token_or_an_address(
    mails: EventMails, harness: Harness
) -> None:
    harness.register("ada@example.org")
    (about,) = harness.events("auth.user_registered")
    token = harness.mailed_token(Purpose.EMAIL_VERIFICATION, "auth.user_registered")
    payloads = b"".join(job.payload for job in mails.reactions()[about.type](about))
    assert json.loads(b"[" + payloads.replace(b"}{", b"},{") + b"]")
    assert token.encode() not in payloads
    assert b"ada@" not in payloads


@pytest.mark.parametrize(("days", "mailed"), [(6, 2), (8, 0)])
def test_what_happened_long_ago_is_no_news(
    mails: EventMails, harness: Harness, days: int, mailed: int
) -> None:
    about = event("auth.user_registered", user_id=USER, token_id=TOKEN)
    harness.clock.advance(days * 86_400)
    assert len(written(mails, about)) == mailed
