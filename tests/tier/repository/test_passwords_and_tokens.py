from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Engine, event, select

from arcana.repository.v1 import one_time_token_pb2, user_pb2
from arcana.repository.v1 import user_repository_pb2 as messages
from repository_tier.tables import one_time_tokens, outbox_events, sessions
from tests.fakes.clock import FakeClock
from tests.tier.repository.requests import HASH, Requests, sha256
from tests.tier.repository.running_tier import (
    RunningTier,
    all_at_once,
    bad_fields,
    failure,
    outcomes,
)
from tier_runtime.errors import Kind

RESET = one_time_token_pb2.ONE_TIME_TOKEN_PURPOSE_PASSWORD_RESET
VERIFICATION = one_time_token_pb2.ONE_TIME_TOKEN_PURPOSE_EMAIL_VERIFICATION
NEW_HASH = HASH.replace("ab", "cd")
INVALID_TOKEN = (Kind.UNAUTHENTICATED, "INVALID_TOKEN")
EXPIRED = (Kind.UNAUTHENTICATED, "TOKEN_EXPIRED")


@pytest.fixture
def user(tier: RunningTier, make: Requests) -> user_pb2.User:
    return tier.users.CreateUser(make.user()).user


def credentials(tier: RunningTier, user: user_pb2.User) -> user_pb2.Credentials:
    owner = messages.GetCredentialsRequest(user_id=user.id)
    return tier.users.GetCredentials(owner).credentials


def living_sessions(tier: RunningTier) -> set[str]:
    living = select(sessions).where(sessions.c.ended_time.is_(None))
    return {row["id"] for row in tier.rows(living)}


def write(tier: RunningTier, user_id: str, token: one_time_token_pb2.NewOneTimeToken) -> None:
    tier.users.CreateOneTimeToken(messages.CreateOneTimeTokenRequest(user_id=user_id, token=token))


def reset(token: str) -> messages.ResetPasswordRequest:
    return messages.ResetPasswordRequest(token_sha256=sha256(token), password_hash=NEW_HASH)


def test_a_new_password_ends_the_other_sessions(
    tier: RunningTier, make: Requests, user: user_pb2.User
) -> None:
    kept = tier.sessions.CreateSession(make.session(user.id)).session
    tier.sessions.CreateSession(make.session(user.id))
    request = messages.ReplacePasswordRequest(
        user_id=user.id,
        expected_credential_version=1,
        password_hash=NEW_HASH,
        kept_session_id=kept.id,
        events=[make.event()],
    )
    tier.users.ReplacePassword(request)
    found = credentials(tier, user)
    assert (found.password_hash, found.credential_version) == (NEW_HASH, 2)
    assert living_sessions(tier) == {kept.id}
    assert len(tier.rows(select(outbox_events))) == 1
    get = messages.GetUserRequest(user_id=user.id)
    # One for each sign-in, one for the password.
    assert tier.users.GetUser(get).user.version == 4


def test_a_new_password_without_a_session_to_keep_ends_all(
    tier: RunningTier, make: Requests, user: user_pb2.User
) -> None:
    tier.sessions.CreateSession(make.session(user.id))
    tier.users.ReplacePassword(
        messages.ReplacePasswordRequest(
            user_id=user.id, expected_credential_version=1, password_hash=NEW_HASH
        )
    )
    assert living_sessions(tier) == set()


@pytest.mark.usefixtures("warm_tier")
def test_of_racing_password_changes_one_wins(tier: RunningTier, user: user_pb2.User) -> None:
    request = messages.ReplacePasswordRequest(
        user_id=user.id, expected_credential_version=1, password_hash=NEW_HASH
    )
    answers = all_at_once(10, lambda _number: tier.users.ReplacePassword(request))
    assert outcomes(answers) == {"OK": 1, "PRECONDITION_FAILED": 9}
    assert credentials(tier, user).credential_version == 2


def test_the_password_of_nobody_cannot_change(tier: RunningTier, make: Requests) -> None:
    request = messages.ReplacePasswordRequest(
        user_id=make.new_id(), expected_credential_version=1, password_hash=NEW_HASH
    )
    assert failure(tier.users.ReplacePassword, request) == (Kind.MISSING, "USER_NOT_FOUND")


def test_a_reset_token_works_once_and_ends_all_sessions(
    tier: RunningTier, make: Requests, user: user_pb2.User
) -> None:
    tier.sessions.CreateSession(make.session(user.id))
    write(tier, user.id, make.reset("one"))
    write(tier, user.id, make.reset("other"))
    write(tier, user.id, make.verification("verify"))
    lookup = messages.GetOneTimeTokenRequest(token_sha256=sha256("one"), purpose=RESET)
    assert tier.users.GetOneTimeToken(lookup).user_id == user.id
    tier.users.ResetPassword(reset("one"))
    found = credentials(tier, user)
    assert (found.password_hash, found.credential_version) == (NEW_HASH, 2)
    assert living_sessions(tier) == set()
    # Also the second token that was mailed for the same purpose.
    for token in ("one", "other"):
        assert failure(tier.users.ResetPassword, reset(token)) == INVALID_TOKEN
    assert failure(tier.users.GetOneTimeToken, lookup) == INVALID_TOKEN
    tier.users.VerifyEmail(messages.VerifyEmailRequest(token_sha256=sha256("verify")))


@pytest.mark.usefixtures("warm_tier")
def test_of_racing_resets_by_one_token_one_wins(
    tier: RunningTier, make: Requests, user: user_pb2.User
) -> None:
    write(tier, user.id, make.reset("one"))
    answers = all_at_once(10, lambda _number: tier.users.ResetPassword(reset("one")))
    assert outcomes(answers) == {"OK": 1, "INVALID_TOKEN": 9}
    assert credentials(tier, user).credential_version == 2


def test_a_token_whose_time_is_over_is_told_so(
    tier: RunningTier, make: Requests, user: user_pb2.User, clock: FakeClock
) -> None:
    write(tier, user.id, make.reset("reset", expire_time=make.after(hours=1)))
    write(tier, user.id, make.verification("verify", expire_time=make.after(hours=1)))
    clock.advance(3600)
    lookup = messages.GetOneTimeTokenRequest(token_sha256=sha256("reset"), purpose=RESET)
    assert failure(tier.users.GetOneTimeToken, lookup) == EXPIRED
    assert failure(tier.users.ResetPassword, reset("reset")) == EXPIRED
    verify = messages.VerifyEmailRequest(token_sha256=sha256("verify"))
    assert failure(tier.users.VerifyEmail, verify) == EXPIRED


def test_a_token_for_one_purpose_is_none_for_the_other(
    tier: RunningTier, make: Requests, user: user_pb2.User
) -> None:
    write(tier, user.id, make.reset("reset"))
    write(tier, user.id, make.verification("verify"))
    lookup = messages.GetOneTimeTokenRequest(token_sha256=sha256("reset"), purpose=VERIFICATION)
    assert failure(tier.users.GetOneTimeToken, lookup) == INVALID_TOKEN
    assert failure(tier.users.ResetPassword, reset("verify")) == INVALID_TOKEN
    verify = messages.VerifyEmailRequest(token_sha256=sha256("reset"))
    assert failure(tier.users.VerifyEmail, verify) == INVALID_TOKEN


def test_an_unknown_token_is_not_valid(tier: RunningTier) -> None:
    lookup = messages.GetOneTimeTokenRequest(token_sha256=sha256("x"), purpose=RESET)
    assert failure(tier.users.GetOneTimeToken, lookup) == INVALID_TOKEN
    assert failure(tier.users.ResetPassword, reset("x")) == INVALID_TOKEN
    verify = messages.VerifyEmailRequest(token_sha256=sha256("x"))
    assert failure(tier.users.VerifyEmail, verify) == INVALID_TOKEN


def test_a_verified_address_is_told_with_the_user_and_works_once(
    tier: RunningTier, make: Requests, user: user_pb2.User
) -> None:
    write(tier, user.id, make.verification("verify"))
    request = messages.VerifyEmailRequest(token_sha256=sha256("verify"), events=[make.event()])
    tier.users.VerifyEmail(request)
    found = tier.users.GetUser(messages.GetUserRequest(user_id=user.id)).user
    assert (found.email_verified, found.version) == (True, 2)
    assert failure(tier.users.VerifyEmail, request) == INVALID_TOKEN
    assert len(tier.rows(select(outbox_events))) == 1


def test_a_decoy_is_written_without_events_and_nothing_can_use_it(
    tier: RunningTier, make: Requests
) -> None:
    tier.users.CreateOneTimeToken(
        messages.CreateOneTimeTokenRequest(token=make.reset("decoy"), events=[make.event()])
    )
    assert len(tier.rows(select(one_time_tokens))) == 1
    assert tier.rows(select(outbox_events)) == []
    assert failure(tier.users.ResetPassword, reset("decoy")) == INVALID_TOKEN


def normalized(statement: str) -> str:
    """Leave out the bound by the deadline, and how a savepoint ends."""
    plain = re.sub(r"/\*\+.*?\*/ |^SET STATEMENT \S+ FOR ", "", statement)
    return re.sub(r"^(RELEASE|ROLLBACK TO) SAVEPOINT", "END OF SAVEPOINT", plain)


@contextmanager
def statements() -> Iterator[list[str]]:
    """Collect what any engine executes, but for the probes of the store."""
    seen: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        if (plain := normalized(statement)) != "SELECT 1":
            seen.append(plain)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", note)


@pytest.mark.usefixtures("warm_tier")
def test_a_decoy_takes_the_same_statements_as_a_token(
    tier: RunningTier, make: Requests, user: user_pb2.User
) -> None:
    taken: dict[str, list[str]] = {}
    for user_id in (user.id, ""):
        request = messages.CreateOneTimeTokenRequest(
            user_id=user_id, token=make.reset(f"for {user_id}"), events=[make.event()]
        )
        with statements() as seen:
            tier.users.CreateOneTimeToken(request)
        taken[user_id] = seen
    assert taken[""] == taken[user.id]
    assert any("outbox_events" in statement for statement in taken[""])
    assert len(tier.rows(select(outbox_events))) == 1


def test_the_same_token_again_is_the_one_that_was_written(
    tier: RunningTier, make: Requests, user: user_pb2.User
) -> None:
    request = messages.CreateOneTimeTokenRequest(
        user_id=user.id, token=make.reset("one"), events=[make.event()]
    )
    tier.users.CreateOneTimeToken(request)
    tier.users.CreateOneTimeToken(request)
    assert len(tier.rows(select(one_time_tokens))) == 1
    assert len(tier.rows(select(outbox_events))) == 1


@pytest.mark.parametrize("taken", ["id", "token_sha256"])
def test_another_token_in_the_place_of_a_known_one_is_refused(
    tier: RunningTier, make: Requests, user: user_pb2.User, taken: str
) -> None:
    first = make.reset("one")
    write(tier, user.id, first)
    other = make.reset("two", **{taken: getattr(first, taken)})
    request = messages.CreateOneTimeTokenRequest(user_id=user.id, token=other)
    assert failure(tier.users.CreateOneTimeToken, request) == (Kind.EXISTS, "ALREADY_EXISTS")


def test_a_token_for_nobody_is_refused(tier: RunningTier, make: Requests) -> None:
    request = messages.CreateOneTimeTokenRequest(user_id=make.new_id(), token=make.reset("one"))
    assert failure(tier.users.CreateOneTimeToken, request) == (Kind.MISSING, "USER_NOT_FOUND")


def test_a_user_is_made_with_a_verification_token_only(tier: RunningTier, make: Requests) -> None:
    request = make.user(verification_token=make.reset("one"))
    assert bad_fields(tier.users.CreateUser, request) == {"verification_token.purpose"}
