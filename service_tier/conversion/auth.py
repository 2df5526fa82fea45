"""Tokens, sessions, keys and access changes."""

from __future__ import annotations

from arcana.repository.v1 import session_repository_pb2
from arcana.service.v1 import auth_service_pb2
from service_tier.keys import PublicKey
from service_tier.usecases.access_changes import AccessChanges
from service_tier.usecases.token_pairs import TokenPair
from tier_runtime.timestamps import timestamp_from


def token_pair_to_proto(pair: TokenPair) -> auth_service_pb2.TokenPair:
    """Return a pair of tokens."""
    return auth_service_pb2.TokenPair(
        access_token=pair.access_token,
        refresh_token=pair.refresh_token,
        expires_in_seconds=int(pair.expires_in.total_seconds()),
    )


def session_to_proto(session: session_repository_pb2.Session) -> auth_service_pb2.Session:
    """Return a session as this tier's contract has it: the same fields, by their bytes."""
    return auth_service_pb2.Session.FromString(session.SerializeToString())


def key_to_proto(key: PublicKey) -> auth_service_pb2.JsonWebKey:
    """Return a public key as RFC 7517 and RFC 8037 write it."""
    return auth_service_pb2.JsonWebKey(
        kty="OKP", crv="Ed25519", x=key.x, kid=key.kid, alg="EdDSA", use="sig"
    )


def changes_to_proto(changes: AccessChanges) -> auth_service_pb2.ListAccessChangesResponse:
    """Return one page of access changes."""
    return auth_service_pb2.ListAccessChangesResponse(
        ended_sessions=[
            auth_service_pb2.EndedSession(session_id=ended.session_id, end_time=ended.end_time)
            for ended in changes.page.ended_sessions
        ],
        role_changes=[
            auth_service_pb2.RoleChange(
                user_id=change.user_id, roles=change.roles, change_time=change.change_time
            )
            for change in changes.page.role_changes
        ],
        next_page_token=changes.next_page_token,
        next_since_time=timestamp_from(changes.next_since),
    )
