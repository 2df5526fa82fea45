"""Builds the services of users and of their sessions."""

from __future__ import annotations

from functools import partial

from arcana.repository.v1 import session_repository_pb2_grpc, user_pb2, user_repository_pb2_grpc
from repository_tier.cache.message_cache import MessageCache
from repository_tier.database import Database
from repository_tier.one_time_tokens import OneTimeTokens
from repository_tier.passwords import Passwords
from repository_tier.profiles import Profiles
from repository_tier.servicers.session_servicer import SessionServicer
from repository_tier.servicers.user_servicer import UserServicer
from repository_tier.session_lists import SessionLists
from repository_tier.sessions import Sessions
from repository_tier.totals import Totals
from repository_tier.user_accounts import UserAccounts
from repository_tier.user_directory import UserDirectory
from tier_runtime.clock import Clock
from tier_runtime.server import Registration


def make_user_service(
    database: Database, cache: MessageCache[user_pb2.User], totals: Totals, clock: Clock
) -> Registration:
    """Build the service of users, their profiles, passwords and one-time tokens."""
    users = UserServicer(
        UserDirectory(database, cache, totals),
        UserAccounts(database, cache, clock),
        Profiles(database, clock),
        Passwords(database, cache, clock),
        OneTimeTokens(database, clock),
    )
    return Registration(
        "arcana.repository.v1.UserRepository",
        partial(user_repository_pb2_grpc.add_UserRepositoryServicer_to_server, users),
    )


def make_session_service(
    database: Database, cache: MessageCache[user_pb2.User], totals: Totals, clock: Clock
) -> Registration:
    """Build the service of sessions."""
    sessions = SessionServicer(
        Sessions(database, cache, clock), SessionLists(database, totals, clock)
    )
    return Registration(
        "arcana.repository.v1.SessionRepository",
        partial(session_repository_pb2_grpc.add_SessionRepositoryServicer_to_server, sessions),
    )
