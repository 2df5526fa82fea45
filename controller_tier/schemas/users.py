"""Users and profiles as JSON."""

from __future__ import annotations

from marshmallow import ValidationError, fields, validate

from controller_tier.fields import Choice, EmailAddress, Password, QueryTime, Text
from controller_tier.schemas.body import Body, Document
from controller_tier.schemas.paging import Page, SortedPageQuery

STATUSES = ("active", "inactive", "suspended")
ROLES = ("admin", "premium", "user")
SORTS = ("created_at", "updated_at", "name", "email")


class User(Document):
    """An account."""

    id = fields.UUID(required=True, metadata={"description": "UUIDv7."})
    email = fields.String(required=True)
    name = fields.String(required=True)
    status = fields.String(required=True, metadata={"enum": list(STATUSES)})
    email_verified = fields.Boolean(required=True)
    roles = fields.List(fields.String(), required=True)
    created_at = fields.DateTime(required=True)
    updated_at = fields.DateTime(required=True)
    last_login_at = fields.DateTime(
        required=True, allow_none=True, metadata={"description": "Null: never."}
    )


class UserPage(Page):
    """One page of users."""

    data = fields.List(fields.Nested(User), required=True)


class UsersQuery(SortedPageQuery):
    """Which users are wanted; all given conditions must hold."""

    sort = Choice(*SORTS, load_default="created_at", metadata={"description": "Sort field."})
    status = Choice(*STATUSES)
    role = Choice(*ROLES, metadata={"description": "Only users who hold this role."})
    created_after = QueryTime(
        metadata={"description": "Only users made at or after this time (RFC 3339)."}
    )
    created_before = QueryTime(
        metadata={"description": "Only users made before this time (RFC 3339)."}
    )
    search = Text(
        most=255,
        metadata={
            "description": "Only users whose name or e-mail address holds this text, letter case "
            "ignored."
        },
    )


class Roles(fields.List[str]):
    """At least one role, each once."""

    def __init__(self, *, required: bool = False) -> None:
        super().__init__(
            Choice(*ROLES),
            required=required,
            validate=[validate.Length(min=1, max=len(ROLES)), _refuse_repetition],
            metadata={
                "uniqueItems": True,
                "description": "`user` is added where it is missing.",
            },
        )


def _refuse_repetition(roles: list[str]) -> None:
    if len(set(roles)) != len(roles):
        raise ValidationError("Name each role once.")


class CreateUserBody(Body):
    """A new user."""

    name = Text(most=255, strip=True, required=True, metadata={"description": "Display name."})
    email = EmailAddress(required=True)
    password = Password(
        new=True,
        required=True,
        metadata={
            "description": "8 to 128 characters with an upper case letter, a lower case letter "
            "and a digit; none of the common passwords."
        },
    )
    roles = Roles()
    status = Choice(*STATUSES, metadata={"description": "`active` where it is not given."})


class ReplaceUserBody(Body):
    """The user as it shall be."""

    name = Text(most=255, strip=True, required=True, metadata={"description": "Display name."})
    email = EmailAddress(required=True, metadata={"description": "A new one is unverified again."})


class UpdateUserBody(Body):
    """What shall change (JSON merge patch); absent members stay. Neither can be removed."""

    name = Text(most=255, strip=True, metadata={"description": "Display name."})
    email = EmailAddress(metadata={"description": "A new one is unverified again."})


class UserStatusBody(Body):
    """Another status."""

    status = Choice(*STATUSES, required=True)


class UserRolesBody(Body):
    """All roles that the user shall hold."""

    roles = Roles(required=True)


class UserProfile(Document):
    """What a user tells of themself; null is not told."""

    user_id = fields.UUID(required=True)
    avatar_url = fields.String(required=True, allow_none=True)
    bio = fields.String(required=True, allow_none=True)
    phone = fields.String(required=True, allow_none=True)
    updated_at = fields.DateTime(
        required=True, allow_none=True, metadata={"description": "Null: never changed."}
    )


class ReplaceProfileBody(Body):
    """The profile as it shall be; what is absent or null is cleared."""

    avatar_url = Text(
        least=0,
        most=500,
        strip=True,
        allow_none=True,
        pattern="(https?://[^ ]+)?",
        fault="Not a valid http or https URL.",
    )
    bio = Text(least=0, most=1000, strip=True, lines=True, allow_none=True)
    phone = Text(
        least=0,
        most=16,
        strip=True,
        allow_none=True,
        pattern=r"(\+[1-9][0-9]{1,14})?",
        fault="Not a phone number in E.164 form, such as +4915112345678.",
    )
