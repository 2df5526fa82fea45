"""What a person does from registration to goodbye, over real gRPC, on real stores."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import jwt
import pytest

from arcana.common.v1 import paging_pb2
from arcana.service.v1 import auth_service_pb2 as pb
from arcana.service.v1 import user_pb2
from arcana.service.v1 import user_service_pb2 as users_pb
from tests.tier.service.running import OTHER_PASSWORD, PASSWORD, SYSTEM, RunningService
from tier_runtime.call import Actor
from tier_runtime.errors import AppError, Kind

EMAIL = "ada@example.org"


def actor_of(service: RunningService, pair: pb.TokenPair) -> Actor:
    """Return who a token speaks for, verified by the published keys as the edge does it."""
    (key,) = service.auth.GetJwks(pb.GetJwksRequest()).keys
    jwk = jwt.PyJWK({"kty": key.kty, "crv": key.crv, "x": key.x, "alg": key.alg})
    claims = jwt.decode(
        pair.access_token, jwk, algorithms=["EdDSA"], audience="arcana-api", issuer="arcana"
    )
    return Actor(claims["sub"], frozenset(claims["roles"]), claims["sid"])


def refresh(service: RunningService, token: str) -> pb.TokenPair:
    return service.auth.RefreshSession(pb.RefreshSessionRequest(refresh_token=token)).tokens


def code_of(action: object) -> str:
    assert callable(action)
    with pytest.raises(AppError) as refused:
        action()
    return refused.value.code


def test_register_login_read_refresh_reuse_and_logout_all(service: RunningService) -> None:
    user = service.register(EMAIL)
    first = service.login(EMAIL)
    actor = actor_of(service, first)
    assert actor.subject == user.id
    with service.acting(actor):
        me = service.users.GetUser(users_pb.GetUserRequest(user_id=actor.subject)).user
    assert (me.email, me.version) == (EMAIL, 2)
    second = refresh(service, first.refresh_token)
    assert code_of(lambda: refresh(service, first.refresh_token)) == "TOKEN_REVOKED"
    assert code_of(lambda: refresh(service, second.refresh_token)) == "TOKEN_REVOKED"

    third = service.login(EMAIL)
    with service.acting(actor_of(service, third)):
        service.auth.LogoutAll(pb.LogoutAllRequest())
    changes = service.auth.ListAccessChanges(pb.ListAccessChangesRequest())
    ended = {one.session_id for one in changes.ended_sessions}
    assert ended == {actor.session_id, actor_of(service, third).session_id}
    checked = pb.CheckSessionRequest(session_id=actor.session_id)
    assert code_of(lambda: service.auth.CheckSession(checked)) == "TOKEN_REVOKED"


def test_a_password_change_keeps_this_session_and_ends_the_others(service: RunningService) -> None:
    service.register(EMAIL)
    other, mine = service.login(EMAIL), service.login(EMAIL)
    with service.acting(actor_of(service, mine)):
        service.auth.ChangePassword(
            pb.ChangePasswordRequest(current_password=PASSWORD, new_password=OTHER_PASSWORD)
        )
        listed = service.auth.ListSessions(pb.ListSessionsRequest())
    assert [one.id for one in listed.sessions] == [actor_of(service, mine).session_id]
    assert code_of(lambda: refresh(service, other.refresh_token)) == "TOKEN_REVOKED"
    assert code_of(lambda: service.login(EMAIL)) == "INVALID_CREDENTIALS"
    service.login(EMAIL, OTHER_PASSWORD)


def test_an_admins_day(service: RunningService) -> None:
    admin = service.create("admin@example.org", "admin")
    user = service.register(EMAIL)
    pair = service.login(EMAIL)
    acting_admin = Actor(admin.id, frozenset(admin.roles))
    with service.acting(acting_admin):
        renamed = service.users.UpdateUser(
            users_pb.UpdateUserRequest(user_id=user.id, name="Ada L.")
        ).user
        raised = service.users.ReplaceUserRoles(
            users_pb.ReplaceUserRolesRequest(user_id=user.id, roles=["premium"])
        ).user
        suspended = service.users.UpdateUserStatus(
            users_pb.UpdateUserStatusRequest(user_id=user.id, status=user_pb2.USER_STATUS_SUSPENDED)
        ).user
        streamed = [one.user.id for one in service.users.StreamUsers(users_pb.StreamUsersRequest())]
        lonely = code_of(
            lambda: service.users.DeleteUser(users_pb.DeleteUserRequest(user_id=admin.id))
        )
    assert (renamed.name, list(raised.roles)) == ("Ada L.", ["premium", "user"])
    assert suspended.version == renamed.version + 2
    assert streamed == sorted([admin.id, user.id])
    assert lonely == "INVALID_STATE"
    assert code_of(lambda: refresh(service, pair.refresh_token)) == "TOKEN_REVOKED"
    assert code_of(lambda: service.login(EMAIL)) == "ACCOUNT_NOT_ACTIVE"
    changes = service.auth.ListAccessChanges(pb.ListAccessChangesRequest())
    assert [list(one.roles) for one in changes.role_changes if one.user_id == user.id] == [
        ["premium", "user"]
    ]
    with service.acting(acting_admin):
        service.users.DeleteUser(users_pb.DeleteUserRequest(user_id=user.id))
        gone = code_of(lambda: service.users.GetUser(users_pb.GetUserRequest(user_id=user.id)))
    assert gone == "USER_NOT_FOUND"
    assert code_of(lambda: service.login(EMAIL)) == "INVALID_CREDENTIALS"


def test_of_many_parallel_registrations_of_one_address_one_succeeds(
    service: RunningService,
) -> None:
    def attempt(_: int) -> str:
        try:
            with service.acting(Actor()):
                service.register(EMAIL)
        except AppError as error:
            return error.code
        return "OK"

    with ThreadPoolExecutor(12) as pool:
        codes = list(pool.map(attempt, range(12)))
    assert sorted(codes) == ["EMAIL_EXISTS"] * 11 + ["OK"]


def test_of_many_parallel_changes_without_a_version_none_is_lost(service: RunningService) -> None:
    user = service.register(EMAIL)

    def attempt(number: int) -> str:
        request = users_pb.UpdateUserRequest(user_id=user.id)
        if number:
            request.name = "New"
        else:
            request.email = "new@example.org"
        with service.acting(SYSTEM):
            service.users.UpdateUser(request)
        return "OK"

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(attempt, range(2))) == ["OK", "OK"]
    with service.acting(SYSTEM):
        now = service.users.GetUser(users_pb.GetUserRequest(user_id=user.id)).user
    assert (now.name, now.email, now.version) == ("New", "new@example.org", 3)


def test_a_repeated_registration_with_its_key_is_answered_as_the_first_was(
    service: RunningService,
) -> None:
    request = pb.RegisterRequest(request_id="key-1", email=EMAIL, name="Ada", password=PASSWORD)
    first, second = service.auth.Register(request), service.auth.Register(request)
    assert (first.replayed, second.replayed) == (False, True)
    assert first.user == second.user
    request.name = "Eve"
    assert code_of(lambda: service.auth.Register(request)) == "IDEMPOTENCY_KEY_REUSED"


def test_a_password_reset_is_accepted_for_any_address(service: RunningService) -> None:
    service.register(EMAIL)
    for email in (EMAIL, "nobody@example.org"):
        service.auth.RequestPasswordReset(pb.RequestPasswordResetRequest(email=email))


def test_errors_cross_the_hops_with_their_kind_code_and_fields(service: RunningService) -> None:
    with pytest.raises(AppError) as refused:
        service.auth.Register(pb.RegisterRequest(email="x", name="", password="Password1"))
    assert refused.value.kind is Kind.INVALID
    assert set(refused.value.field_errors) == {"name"}
    with pytest.raises(AppError) as policy:
        service.auth.Register(pb.RegisterRequest(email="x", name="A", password="Password1"))
    assert set(policy.value.field_errors) == {"email", "password"}
    request = users_pb.ListUsersRequest(page=paging_pb2.PageRequest(cursor="nonsense"))
    with service.acting(SYSTEM), pytest.raises(AppError) as cursor:
        service.users.ListUsers(request)
    assert set(cursor.value.field_errors) == {"cursor"}
