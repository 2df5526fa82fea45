"""The table of the routes below /users."""

from __future__ import annotations

from controller_tier.access_table import AccessTable
from controller_tier.operations import Answer, Operation, Resource
from controller_tier.resources.auth import AuthViews
from controller_tier.resources.examples import PROFILE, USER, USER_PAGE
from controller_tier.resources.users import UserViews
from controller_tier.schemas import users

_USER = Answer(200, "The user.", users.User, USER, ("ETag",))
_PROFILE = Answer(200, "The profile.", users.UserProfile, PROFILE, ("ETag",))


def users_resource(views: UserViews, auth_views: AuthViews, rpcs: AccessTable) -> Resource:
    """Return the rows below /users, less the profiles."""
    return Resource(
        "users",
        "Users, for themselves and for admins.",
        (
            *_collection_rows(views, rpcs),
            *_read_rows(views, auth_views, rpcs),
            *_write_rows(views, rpcs),
        ),
    )


def profiles_resource(views: UserViews, rpcs: AccessTable) -> Resource:
    """Return the rows of the profiles."""
    return Resource(
        "profiles",
        "What users tell of themselves.",
        (
            Operation(
                "GET",
                "/users/<id:id>/profile",
                "getUserProfile",
                views.get_profile,
                "Show a profile.",
                (_PROFILE,),
                problems=("FORBIDDEN", "USER_NOT_FOUND"),
                conditional_read=True,
                rpc=rpcs.of("UserService/GetUserProfile"),
            ),
            Operation(
                "PUT",
                "/users/<id:id>/profile",
                "replaceUserProfile",
                views.replace_profile,
                "Replace a profile.",
                (_PROFILE,),
                description="What is absent or null is cleared.",
                body=users.ReplaceProfileBody,
                body_example={
                    "avatar_url": PROFILE["avatar_url"],
                    "bio": PROFILE["bio"],
                    "phone": PROFILE["phone"],
                },
                problems=("FORBIDDEN", "USER_NOT_FOUND"),
                conditional_write=True,
                rpc=rpcs.of("UserService/ReplaceUserProfile"),
            ),
        ),
    )


def _collection_rows(views: UserViews, rpcs: AccessTable) -> tuple[Operation, ...]:
    return (
        Operation(
            "GET",
            "/users",
            "listUsers",
            views.list_users,
            "List users.",
            (Answer(200, "One page of users.", users.UserPage, USER_PAGE),),
            query=users.UsersQuery,
            rpc=rpcs.of("UserService/ListUsers"),
        ),
        Operation(
            "POST",
            "/users",
            "createUser",
            views.create_user,
            "Make a user.",
            (
                Answer(
                    201,
                    "The user.",
                    users.User,
                    USER,
                    ("ETag", "Location", "Idempotent-Replay"),
                ),
            ),
            body=users.CreateUserBody,
            body_example={
                "name": "Ada Lovelace",
                "email": "ada@example.org",
                "password": "Correct-Horse-7",
                "roles": ["premium", "user"],
                "status": "active",
            },
            problems=("EMAIL_EXISTS",),
            idempotent=True,
            rpc=rpcs.of("UserService/CreateUser"),
        ),
    )


def _read_rows(views: UserViews, auth_views: AuthViews, rpcs: AccessTable) -> tuple[Operation, ...]:
    return (
        Operation(
            "GET",
            "/users/me",
            "getOwnUser",
            auth_views.own_user,
            "Show the caller.",
            (_USER,),
            conditional_read=True,
            rpc=rpcs.of("UserService/GetUser"),
        ),
        Operation(
            "GET",
            "/users/<id:id>",
            "getUser",
            views.get_user,
            "Show a user.",
            (_USER,),
            problems=("FORBIDDEN", "USER_NOT_FOUND"),
            conditional_read=True,
            rpc=rpcs.of("UserService/GetUser"),
        ),
    )


def _write_rows(views: UserViews, rpcs: AccessTable) -> tuple[Operation, ...]:
    return (
        Operation(
            "PUT",
            "/users/<id:id>",
            "replaceUser",
            views.update_user,
            "Replace a user's name and e-mail address.",
            (_USER,),
            description="A new e-mail address is unverified again.",
            body=users.ReplaceUserBody,
            body_example={"name": "Ada King", "email": "ada.king@example.org"},
            problems=("FORBIDDEN", "USER_NOT_FOUND", "EMAIL_EXISTS"),
            conditional_write=True,
            rpc=rpcs.of("UserService/UpdateUser"),
        ),
        Operation(
            "PATCH",
            "/users/<id:id>",
            "updateUser",
            views.update_user,
            "Change a user's name or e-mail address.",
            (_USER,),
            description="A JSON merge patch (RFC 7396). A new e-mail address is unverified again.",
            body=users.UpdateUserBody,
            body_example={"name": "Ada King"},
            problems=("FORBIDDEN", "USER_NOT_FOUND", "EMAIL_EXISTS"),
            conditional_write=True,
            rpc=rpcs.of("UserService/UpdateUser"),
        ),
        Operation(
            "PATCH",
            "/users/<id:id>/status",
            "updateUserStatus",
            views.update_status,
            "Set a user's status.",
            (_USER,),
            description="Leaving `active` ends all sessions of the user. The last active admin "
            "cannot leave it.",
            body=users.UserStatusBody,
            body_example={"status": "suspended"},
            problems=("USER_NOT_FOUND", "INVALID_STATE"),
            conditional_write=True,
            rpc=rpcs.of("UserService/UpdateUserStatus"),
        ),
        Operation(
            "PUT",
            "/users/<id:id>/roles",
            "replaceUserRoles",
            views.replace_roles,
            "Replace a user's roles.",
            (_USER,),
            description="Access tokens in use follow within 1 s. The last active admin cannot "
            "lose the role.",
            body=users.UserRolesBody,
            body_example={"roles": ["admin", "user"]},
            problems=("USER_NOT_FOUND", "INVALID_STATE"),
            conditional_write=True,
            rpc=rpcs.of("UserService/ReplaceUserRoles"),
        ),
        Operation(
            "DELETE",
            "/users/<id:id>",
            "deleteUser",
            views.delete_user,
            "Delete a user for good.",
            (Answer(204, "Done; the user's sessions have ended."),),
            description="The user's orders stay. The last active admin cannot be deleted.",
            problems=("USER_NOT_FOUND", "INVALID_STATE"),
            conditional_write=True,
            rpc=rpcs.of("UserService/DeleteUser"),
        ),
    )
