"""Tokens and sessions to documents."""

from __future__ import annotations

from typing import Any

from arcana.service.v1.auth_service_pb2 import Session, TokenPair
from controller_tier.conversion.times import rfc3339


def token_document(tokens: TokenPair) -> dict[str, Any]:
    """Return a pair of tokens as RFC 6749, section 5.1, names them."""
    return {
        "access_token": tokens.access_token,
        "refresh_token": tokens.refresh_token,
        "token_type": "Bearer",
        "expires_in": tokens.expires_in_seconds,
    }


def session_document(session: Session, own_session_id: str) -> dict[str, Any]:
    """Return one sign-in; `current` marks the one that asks."""
    return {
        "id": session.id,
        "current": session.id == own_session_id,
        "ip_address": session.client_address or None,
        "user_agent": session.user_agent or None,
        "created_at": rfc3339(session.created_time),
        "refreshed_at": rfc3339(session.refreshed_time),
        "expires_at": rfc3339(session.expire_time),
    }
