"""Accounts, sign-in and sessions as JSON."""

from __future__ import annotations

from marshmallow import fields

from controller_tier.fields import EmailAddress, Password, Text
from controller_tier.schemas.body import Body, Document
from controller_tier.schemas.paging import Page, PageQuery

_NEW_PASSWORD = (
    "8 to 128 characters with an upper case letter, a lower case letter and a digit; "  # noqa: S105 - a rule, no password.
    "none of the common passwords."
)


class RegisterBody(Body):
    """A new account."""

    name = Text(most=255, strip=True, required=True, metadata={"description": "Display name."})
    email = EmailAddress(required=True)
    password = Password(new=True, required=True, metadata={"description": _NEW_PASSWORD})


class LoginBody(Body):
    """Credentials."""

    email = EmailAddress(required=True)
    password = Password(new=False, required=True)


class RefreshTokenBody(Body):
    """A refresh token."""

    refresh_token = Text(
        most=512, required=True, metadata={"description": "As login or refresh gave it."}
    )


class ChangePasswordBody(Body):
    """The password of now and the new one."""

    current_password = Password(new=False, required=True)
    new_password = Password(new=True, required=True, metadata={"description": _NEW_PASSWORD})


class PasswordResetBody(Body):
    """Whose password was forgotten."""

    email = EmailAddress(required=True)


class PasswordResetConfirmBody(Body):
    """A mailed token and the new password."""

    token = Text(most=512, required=True, metadata={"description": "As it was mailed."})
    new_password = Password(new=True, required=True, metadata={"description": _NEW_PASSWORD})


class VerifyEmailBody(Body):
    """A mailed token."""

    token = Text(most=512, required=True, metadata={"description": "As it was mailed."})


class Tokens(Document):
    """What a client needs to call as a user."""

    access_token = fields.String(required=True, metadata={"description": "JWT (RFC 9068)."})
    refresh_token = fields.String(required=True, metadata={"description": "Opaque; works once."})
    token_type = fields.String(required=True, metadata={"const": "Bearer"})
    expires_in = fields.Integer(
        required=True, metadata={"description": "Life of the access token in seconds."}
    )


class Session(Document):
    """One sign-in."""

    id = fields.UUID(required=True)
    current = fields.Boolean(
        required=True, metadata={"description": "True for the session that asks."}
    )
    ip_address = fields.String(required=True, allow_none=True)
    user_agent = fields.String(required=True, allow_none=True)
    created_at = fields.DateTime(required=True)
    refreshed_at = fields.DateTime(required=True)
    expires_at = fields.DateTime(required=True)


class SessionsQuery(PageQuery):
    """Which page of the caller's sessions is wanted."""


class SessionPage(Page):
    """Living sessions of the caller, newest first."""

    data = fields.List(fields.Nested(Session), required=True)


class JsonWebKey(Document):
    """A public key (RFC 7517, RFC 8037)."""

    kty = fields.String(required=True)
    crv = fields.String(required=True)
    x = fields.String(required=True)
    kid = fields.String(required=True, metadata={"description": "RFC 7638 thumbprint."})
    alg = fields.String(required=True)
    use = fields.String(required=True)


class JsonWebKeySet(Document):
    """The keys that access tokens can be verified with, the signing one first."""

    keys = fields.List(fields.Nested(JsonWebKey), required=True)
