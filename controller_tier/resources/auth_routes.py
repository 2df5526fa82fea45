"""The table of the routes below /auth, of the account settings, and of the public keys."""

from __future__ import annotations

from controller_tier.access_table import AccessTable
from controller_tier.operations import Answer, Operation, Resource
from controller_tier.resources.auth import AuthViews
from controller_tier.resources.examples import JWKS, SESSION_PAGE, TOKENS, USER
from controller_tier.schemas import auth, users

_PASSWORD = "Correct-Horse-7"  # noqa: S105 - stands in the document, opens nothing.
_DONE = Answer(204, "Done.")
_ACCEPTED = Answer(202, "Accepted; says nothing about the account.")
_USER = Answer(200, "The account.", users.User, USER, ("ETag",))
_TOKENS = Answer(200, "The session's tokens.", auth.Tokens, TOKENS)


def auth_resource(views: AuthViews, rpcs: AccessTable) -> Resource:
    """Return the rows below /auth."""
    return Resource(
        "auth",
        "Accounts, sign-in and sessions.",
        (*_account_rows(views, rpcs), *_password_rows(views, rpcs), *_own_rows(views, rpcs)),
    )


def account_settings_resource(views: AuthViews, rpcs: AccessTable) -> Resource:
    """Return the rows below /settings: the same use cases under other names."""
    return Resource(
        "settings",
        "The caller's own account.",
        (
            Operation(
                "GET",
                "/settings/account-info",
                "getAccountInfo",
                views.own_user,
                "Show the caller's account.",
                (_USER,),
                description="The same as `GET /auth/me`.",
                conditional_read=True,
                rpc=rpcs.of("UserService/GetUser"),
            ),
            _change_password_row("/settings/change-password", "changeAccountPassword", views, rpcs),
        ),
    )


def keys_resource(views: AuthViews, rpcs: AccessTable) -> Resource:
    """Return the row of the public keys."""
    return Resource(
        "keys",
        "Public keys.",
        (
            Operation(
                "GET",
                "/.well-known/jwks.json",
                "getJwks",
                views.signing_keys,
                "Show the public keys that access tokens are signed with.",
                (Answer(200, "A JWK Set (RFC 7517).", auth.JsonWebKeySet, JWKS),),
                description="Empty where tokens are signed with a shared secret.",
                rpc=rpcs.of("AuthService/GetJwks"),
            ),
        ),
        prefix="",
    )


def _account_rows(views: AuthViews, rpcs: AccessTable) -> tuple[Operation, ...]:
    return (
        Operation(
            "POST",
            "/auth/register",
            "register",
            views.register,
            "Make an account.",
            (
                Answer(
                    201,
                    "The account, with the role `user`.",
                    users.User,
                    USER,
                    ("ETag", "Location", "Idempotent-Replay"),
                ),
            ),
            body=auth.RegisterBody,
            body_example={
                "name": "Ada Lovelace",
                "email": "ada@example.org",
                "password": _PASSWORD,
            },
            problems=("EMAIL_EXISTS",),
            idempotent=True,
            rpc=rpcs.of("AuthService/Register"),
        ),
        Operation(
            "POST",
            "/auth/login",
            "login",
            views.login,
            "Sign in.",
            (_TOKENS,),
            description="An unknown address and a wrong password get one answer, in one time.",
            body=auth.LoginBody,
            body_example={"email": "ada@example.org", "password": _PASSWORD},
            problems=("INVALID_CREDENTIALS", "ACCOUNT_NOT_ACTIVE"),
            rpc=rpcs.of("AuthService/Login"),
        ),
        Operation(
            "POST",
            "/auth/refresh",
            "refreshSession",
            views.refresh,
            "Trade a refresh token for a new pair.",
            (_TOKENS,),
            description="The token is dead afterwards; a dead one used again ends the session.",
            body=auth.RefreshTokenBody,
            body_example={"refresh_token": TOKENS["refresh_token"]},
            problems=("INVALID_TOKEN", "TOKEN_EXPIRED", "TOKEN_REVOKED", "ACCOUNT_NOT_ACTIVE"),
            rpc=rpcs.of("AuthService/RefreshSession"),
        ),
        Operation(
            "POST",
            "/auth/logout",
            "logout",
            views.logout,
            "End the session of a refresh token.",
            (Answer(204, "Done, also for an unknown token."),),
            body=auth.RefreshTokenBody,
            body_example={"refresh_token": TOKENS["refresh_token"]},
            rpc=rpcs.of("AuthService/Logout"),
        ),
        Operation(
            "POST",
            "/auth/logout-all",
            "logoutAll",
            views.logout_all,
            "End every session of the caller.",
            (_DONE,),
            description="Access tokens end too, within 1 s on every replica.",
            rpc=rpcs.of("AuthService/LogoutAll"),
        ),
    )


def _password_rows(views: AuthViews, rpcs: AccessTable) -> tuple[Operation, ...]:
    return (
        _change_password_row("/auth/change-password", "changePassword", views, rpcs),
        Operation(
            "POST",
            "/auth/password-reset",
            "requestPasswordReset",
            views.request_password_reset,
            "Have a reset token mailed.",
            (_ACCEPTED,),
            body=auth.PasswordResetBody,
            body_example={"email": "ada@example.org"},
            rpc=rpcs.of("AuthService/RequestPasswordReset"),
        ),
        Operation(
            "POST",
            "/auth/password-reset/confirm",
            "confirmPasswordReset",
            views.confirm_password_reset,
            "Set a new password by a mailed token.",
            (Answer(204, "Done; every session of the user has ended."),),
            body=auth.PasswordResetConfirmBody,
            body_example={"token": TOKENS["refresh_token"], "new_password": _PASSWORD},
            problems=("INVALID_TOKEN", "TOKEN_EXPIRED"),
            rpc=rpcs.of("AuthService/ConfirmPasswordReset"),
        ),
        Operation(
            "POST",
            "/auth/verify-email",
            "verifyEmail",
            views.verify_email,
            "Verify an address by a mailed token.",
            (_DONE,),
            body=auth.VerifyEmailBody,
            body_example={"token": TOKENS["refresh_token"]},
            problems=("INVALID_TOKEN", "TOKEN_EXPIRED"),
            rpc=rpcs.of("AuthService/VerifyEmail"),
        ),
        Operation(
            "POST",
            "/auth/verify-email/resend",
            "resendVerification",
            views.resend_verification,
            "Have another verification token mailed.",
            (Answer(202, "Accepted, also where the address is verified already."),),
            rpc=rpcs.of("AuthService/ResendVerification"),
        ),
    )


def _own_rows(views: AuthViews, rpcs: AccessTable) -> tuple[Operation, ...]:
    return (
        Operation(
            "GET",
            "/auth/me",
            "getOwnAccount",
            views.own_user,
            "Show the caller's account.",
            (_USER,),
            conditional_read=True,
            rpc=rpcs.of("UserService/GetUser"),
        ),
        Operation(
            "GET",
            "/auth/sessions",
            "listSessions",
            views.list_sessions,
            "List the caller's living sessions, newest first.",
            (Answer(200, "One page of sessions.", auth.SessionPage, SESSION_PAGE),),
            query=auth.SessionsQuery,
            rpc=rpcs.of("AuthService/ListSessions"),
        ),
        Operation(
            "DELETE",
            "/auth/sessions/<id:id>",
            "endSession",
            views.end_session,
            "End one of the caller's sessions.",
            (_DONE,),
            problems=("NOT_FOUND",),
            rpc=rpcs.of("AuthService/EndSession"),
        ),
    )


def _change_password_row(path: str, name: str, views: AuthViews, rpcs: AccessTable) -> Operation:
    return Operation(
        "POST",
        path,
        name,
        views.change_password,
        "Replace the caller's password.",
        (Answer(204, "Done; all other sessions of the caller have ended."),),
        body=auth.ChangePasswordBody,
        body_example={"current_password": _PASSWORD, "new_password": f"{_PASSWORD}x"},
        problems=("INVALID_CREDENTIALS",),
        rpc=rpcs.of("AuthService/ChangePassword"),
    )
