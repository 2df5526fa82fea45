"""What the document shows as answers. Nobody of this name exists, and no token opens anything."""

from __future__ import annotations

from typing import Any

USER_ID = "019adf5e-7a3c-7b52-9c1e-3f0a8d5e6b71"
_SESSION_ID = "019adf5e-90d4-7c08-8f5a-1b2c3d4e5f60"
PRODUCT_ID = "019adf5e-a1b2-7f3d-8c4e-5a6b7c8d9e0f"
_ORDER_ID = "019adf5e-b3c4-7a5e-9d6f-0a1b2c3d4e5f"
_MOVEMENT_ID = "019adf5e-b3c5-7012-8e7f-1a2b3c4d5e6f"
_JOB_ID = "019adf5e-c4d5-7b6e-8f70-2a3b4c5d6e7f"
_FILE_ID = "019adf5e-c5d6-7b23-8a4f-2b3c4d5e6f70"

USER: dict[str, Any] = {
    "id": USER_ID,
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
    "user_id": USER_ID,
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

PRODUCT: dict[str, Any] = {
    "id": PRODUCT_ID,
    "name": "Brass gear",
    "description": "Twelve teeth, for a difference engine.",
    "price": "19.99",
    "currency": "USD",
    "stock": 120,
    "low_stock_threshold": 10,
    "category": "gears",
    "status": "active",
    "created_at": "2026-11-21T04:00:00.000000Z",
    "updated_at": "2026-11-21T04:00:00.000000Z",
}

PRODUCT_PAGE: dict[str, Any] = {"data": [PRODUCT], **_PAGE}

PRODUCT_MATCHES: dict[str, Any] = {"data": [PRODUCT]}

STOCK_MOVEMENT_PAGE: dict[str, Any] = {
    "data": [
        {
            "id": _MOVEMENT_ID,
            "quantity_change": -2,
            "reason": "order_placed",
            "order_id": _ORDER_ID,
            "created_at": "2026-11-21T04:00:00.000000Z",
        }
    ],
    **_PAGE,
}

STOCK_CHANGES: dict[str, Any] = {
    "success_count": 1,
    "failure_count": 1,
    "errors": [
        {
            "index": 1,
            "product_id": PRODUCT_ID,
            "code": "INSUFFICIENT_STOCK",
            "message": "There are too few units.",
        }
    ],
}

ORDER: dict[str, Any] = {
    "id": _ORDER_ID,
    "user_id": USER_ID,
    "status": "pending",
    "items": [
        {
            "product_id": PRODUCT_ID,
            "name": "Brass gear",
            "quantity": 12,
            "unit_price": "19.99",
            "discount": "23.99",
            "line_total": "215.89",
        }
    ],
    "subtotal": "239.88",
    "discount": "23.99",
    "total": "215.89",
    "currency": "USD",
    "pricing": "bulk",
    "created_at": "2026-11-21T04:00:00.000000Z",
    "updated_at": "2026-11-21T04:00:00.000000Z",
}

ORDER_PAGE: dict[str, Any] = {"data": [ORDER], **_PAGE}

FILE: dict[str, Any] = {
    "id": _FILE_ID,
    "filename": "invoice.pdf",
    "content_type": "application/pdf",
    "size": 2048,
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "url": f"/api/v1/files/{_FILE_ID}/download",
    "uploaded_by": USER_ID,
    "created_at": "2026-11-21T04:00:00.000000Z",
}

FILE_PAGE: dict[str, Any] = {"data": [FILE], **_PAGE}

DOWNLOAD: dict[str, Any] = {
    "download_url": f"http://127.0.0.1:5000/api/v1/files/{_FILE_ID}/content?token=AAAAAGkf5MABkv",
    "expires_in": 300,
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

JOB: dict[str, Any] = {
    "id": _JOB_ID,
    "name": "bulk-email",
    "status": "running",
    "progress": {"done": 300, "total": 10_000},
    "attempts": 1,
    "error": None,
    "result": None,
    "created_at": "2026-11-21T04:00:00.000000Z",
    "due_at": "2026-11-21T04:00:00.000000Z",
    "started_at": "2026-11-21T04:00:00.250000Z",
    "finished_at": None,
}

JOB_PAGE: dict[str, Any] = {"data": [JOB], **_PAGE}

DAILY_REPORT: dict[str, Any] = {
    "date": "2026-11-20",
    "registrations": 12,
    "logins": 140,
    "orders": 31,
    "revenues": [{"currency": "USD", "revenue": "1954.20", "orders": 30}],
    "top_products": [{"product_id": PRODUCT_ID, "name": "Brass gear", "quantity": 85}],
    "low_stock_products": [
        {"product_id": PRODUCT_ID, "name": "Brass gear", "stock": 3, "low_stock_threshold": 5}
    ],
    "created_at": "2026-11-21T02:00:01.000000Z",
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

EVENT_STREAM = (
    "retry: 2000\n\n"
    f"id: {_MOVEMENT_ID}\n"
    "event: order.created\n"
    f'data: {{"id":"{_MOVEMENT_ID}","type":"order.created","aggregate_type":"order",'
    f'"aggregate_id":"{_ORDER_ID}","payload":{{"order_id":"{_ORDER_ID}"}},'
    f'"occurred_at":"2026-11-21T04:00:00.000000Z","request_id":"r-1","actor_id":"{USER_ID}"}}\n\n'
)
