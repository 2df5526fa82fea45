"""What the document shows as answers. Nobody of this name exists, and no token opens anything."""

from __future__ import annotations

from typing import Any

_USER_ID = "019adf5e-7a3c-7b52-9c1e-3f0a8d5e6b71"
_SESSION_ID = "019adf5e-90d4-7c08-8f5a-1b2c3d4e5f60"

USER: dict[str, Any] = {
    "id": _USER_ID,
    "email": "ada@example.org",
    "name": "Ada Lovelace",
    "status": "active",
    "email_verified": False,
    "roles": ["user"],
    "created_at": "2026-11-21T04:00:00.000000Z",
    "updated_at": "2026-11-21T04:00:00.000000Z",
    "last_login_at": None,
}

PROFILE: dict[str, Any] = {
    "user_id": _USER_ID,
    "avatar_url": "https://example.org/ada.png",
    "bio": "Analyst of engines.",
    "phone": "+4915112345678",
    "updated_at": "2026-11-21T04:00:00.000000Z",
}

_PAGE: dict[str, Any] = {
    "page": 0,
    "size": 10,
    "total": 1,
    "total_pages": 1,
    "has_next": False,
    "has_previous": False,
    "next_cursor": None,
}

USER_PAGE: dict[str, Any] = {"data": [USER], **_PAGE}

SESSION_PAGE: dict[str, Any] = {
    "data": [
        {
            "id": _SESSION_ID,
            "current": True,
            "ip_address": "192.0.2.1",
            "user_agent": "curl/8.5.0",
            "created_at": "2026-11-21T04:00:00.000000Z",
            "refreshed_at": "2026-11-21T04:00:00.000000Z",
            "expires_at": "2026-11-28T04:00:00.000000Z",
        }
    ],
    **_PAGE,
}

TOKENS: dict[str, Any] = {
    "access_token": "<header>.<claims>.<signature>",
    "refresh_token": "R2f0c3RhbmQtaW4tZm9yLWEtcmVmcmVzaC10b2tlbg",
    "token_type": "Bearer",
    "expires_in": 3600,
}

JWKS: dict[str, Any] = {
    "keys": [
        {
            "kty": "OKP",
            "crv": "Ed25519",
            "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
            "kid": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
            "alg": "EdDSA",
            "use": "sig",
        }
    ]
}

HEALTH: dict[str, Any] = {
    "status": "ok",
    "tiers": {
        "controller": "up",
        "service": "up",
        "repository": "up",
        "database": "up",
        "cache": "up",
    },
    "breakers": {"service": "closed"},
    "version": "0.1.0",
}
