"""The table of the routes below /auth, of the account settings, and of the public keys."""

from __future__ import annotations

from controller_tier.operations import Access, Answer, Holder, LimitRule, Operation, Resource
from controller_tier.rate_limits import Rate
from controller_tier.resources.auth import AuthViews
from controller_tier.resources.examples import JWKS, SESSION_PAGE, TOKENS, USER
from controller_tier.schemas import auth, users
from controller_tier.settings import ControllerSettings

_PASSWORD = "Correct-Horse-7"  # noqa: S105 - stands in the document, opens nothing.
_DONE = Answer(204, "Done.")
_ACCEPTED = Answer(202, "Accepted; says nothing about the account.")
_USER = Answer(200, "The account.", users.User, USER, ("ETag",))
_TOKENS = Answer(200, "The session's tokens.", auth.Tokens, TOKENS)


def auth_resource(views: AuthViews, settings: ControllerSettings) -> Resource:
    """Return the rows below /auth."""
    return Resource(
        "auth",
        "Accounts, sign-in and sessions.",
        (*_account_rows(views, settings), *_password_rows(views, settings), *_own_rows(views)),
    )


def account_settings_resource(views: AuthViews, settings: ControllerSettings) -> Resource:
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
                access=Access.SIGNED_IN,
                conditional_read=True,
            ),
            _change_password_row(
                "/settings/change-password", "changeAccountPassword", views, settings
            ),
        ),
    )


def keys_resource(views: AuthViews) -> Resource:
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
            ),
        ),
        prefix="",
    )


def _account_rows(views: AuthViews, settings: ControllerSettings) -> tuple[Operation, ...]:
    by_address = _rule("register-ip", settings.rate_limit_register_ip)
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
            limits=(by_address,),
            idempotent=True,
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
            limits=(
                _rule("login-email", settings.rate_limit_login_email, Holder.EMAIL),
                _rule("login-ip", settings.rate_limit_login_ip),
            ),
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
            limits=(_rule("refresh-ip", settings.rate_limit_refresh_ip),),
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
        ),
        Operation(
            "POST",
            "/auth/logout-all",
            "logoutAll",
            views.logout_all,
            "End every session of the caller.",
            (_DONE,),
            description="Access tokens end too, within 1 s on every replica.",
            access=Access.SIGNED_IN,
        ),
    )


def _password_rows(views: AuthViews, settings: ControllerSettings) -> tuple[Operation, ...]:
    reset_by_address = _rule("password-reset-ip", settings.rate_limit_password_reset_ip)
    verify_by_address = _rule("verify-email-ip", settings.rate_limit_verify_email_ip)
    return (
        _change_password_row("/auth/change-password", "changePassword", views, settings),
        Operation(
            "POST",
            "/auth/password-reset",
            "requestPasswordReset",
            views.request_password_reset,
            "Have a reset token mailed.",
            (_ACCEPTED,),
            body=auth.PasswordResetBody,
            body_example={"email": "ada@example.org"},
            limits=(
                _rule(
                    "password-reset-email",
                    settings.rate_limit_password_reset_email,
                    Holder.EMAIL,
                ),
                reset_by_address,
            ),
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
            limits=(reset_by_address,),
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
            limits=(verify_by_address,),
        ),
        Operation(
            "POST",
            "/auth/verify-email/resend",
            "resendVerification",
            views.resend_verification,
            "Have another verification token mailed.",
            (Answer(202, "Accepted, also where the address is verified already."),),
            access=Access.SIGNED_IN,
            limits=(verify_by_address,),
        ),
    )


def _own_rows(views: AuthViews) -> tuple[Operation, ...]:
    return (
        Operation(
            "GET",
            "/auth/me",
            "getOwnAccount",
            views.own_user,
            "Show the caller's account.",
            (_USER,),
            access=Access.SIGNED_IN,
            conditional_read=True,
        ),
        Operation(
            "GET",
            "/auth/sessions",
            "listSessions",
            views.list_sessions,
            "List the caller's living sessions, newest first.",
            (Answer(200, "One page of sessions.", auth.SessionPage, SESSION_PAGE),),
            access=Access.SIGNED_IN,
            query=auth.SessionsQuery,
        ),
        Operation(
            "DELETE",
            "/auth/sessions/<id:id>",
            "endSession",
            views.end_session,
            "End one of the caller's sessions.",
            (_DONE,),
            access=Access.SIGNED_IN,
            problems=("NOT_FOUND",),
        ),
    )


def _change_password_row(
    path: str, name: str, views: AuthViews, settings: ControllerSettings
) -> Operation:
    return Operation(
        "POST",
        path,
        name,
        views.change_password,
        "Replace the caller's password.",
        (Answer(204, "Done; all other sessions of the caller have ended."),),
        access=Access.SIGNED_IN,
        body=auth.ChangePasswordBody,
        body_example={"current_password": _PASSWORD, "new_password": f"{_PASSWORD}x"},
        problems=("INVALID_CREDENTIALS",),
        limits=(
            _rule("change-password-user", settings.rate_limit_change_password_user, Holder.USER),
        ),
    )


def _rule(name: str, rate: str, holder: Holder = Holder.ADDRESS) -> LimitRule:
    return LimitRule(name, Rate.parse(rate), holder)
