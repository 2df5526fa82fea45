"""The OpenAPI document of the edge, made from its code."""

from __future__ import annotations

import json
import threading
from typing import Any

from flask import Flask
from flask_smorest import Api, Blueprint  # type: ignore[import-untyped]  # ships no types

from controller_tier.fields import Money, QueryFlag, QueryInteger, QueryTime
from controller_tier.openapi_parts import SECURITY_SCHEME, problem_example
from controller_tier.schemas.service import Problem

OPENAPI_VERSION = "3.1.0"
# Of the contract, not of this implementation of it.
API_VERSION = "1.0.0"
TITLE = "Arcana"
DESCRIPTION = """\
Every error is `application/problem+json` (RFC 9457) with a stable `code` to branch on; each answer
lists the codes that it can have. Sign in by `POST /api/v1/auth/login` and send the access token as
`Authorization: Bearer …`. Unknown body members and query parameters are field errors.
"""

_TEXT = {"type": "string"}

HEADERS: dict[str, dict[str, Any]] = {
    "Accept-Ranges": {
        "description": "`bytes`: a part can be asked for by Range.",
        "schema": {"type": "string", "enum": ["bytes"]},
    },
    "Content-Disposition": {
        "description": "`attachment`, with the file's name (RFC 6266).",
        "schema": _TEXT,
        "example": "attachment; filename=invoice.pdf",
    },
    "Content-Range": {
        "description": "Which part this is of how many bytes (RFC 9110, section 14.4).",
        "schema": _TEXT,
        "example": "bytes 0-99/2048",
    },
    "ETag": {
        "description": "The version of the resource, for If-Match and If-None-Match.",
        "schema": _TEXT,
        "example": '"v7"',
    },
    "Idempotent-Replay": {
        "description": "`true` when this is the answer of an earlier request with the same key.",
        "schema": {"type": "string", "enum": ["true"]},
    },
    "Location": {
        "description": "Path of the new resource.",
        "schema": {"type": "string", "format": "uri-reference"},
    },
    "RateLimit": {
        "description": "What is left of each limit, and when it is full again "
        "(draft-ietf-httpapi-ratelimit-headers).",
        "schema": _TEXT,
        "example": '"login-ip";r=599;t=60',
    },
    "RateLimit-Policy": {
        "description": "The limits of this route (draft-ietf-httpapi-ratelimit-headers).",
        "schema": _TEXT,
        "example": '"login-ip";q=600;w=60',
    },
    "Retry-After": {
        "description": "Seconds to wait before the next try.",
        "schema": {"type": "integer", "minimum": 1},
    },
    "WWW-Authenticate": {
        "description": "The challenge of RFC 6750.",
        "schema": _TEXT,
        "example": 'Bearer realm="arcana"',
    },
    "X-Request-ID": {
        "description": "The request's id, as it stands in every tier's log.",
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,128}$"},
    },
}

PARAMETERS: dict[str, dict[str, Any]] = {
    "Idempotency-Key": {
        "description": "Makes a repeated request safe: the same key, user and body get the first "
        "answer again, for 24 h.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"},
    },
    "If-Match": {
        "description": "ETags of the versions that the change may be based on, or `*`.",
        "schema": _TEXT,
        "example": '"v7"',
    },
    "If-None-Match": {
        "description": "ETags that the client has already; 304 if one is the present one.",
        "schema": _TEXT,
        "example": '"v7"',
    },
    "X-Request-ID": {
        "description": "An id for this request; one is made where it is absent or not of its "
        "form: 1 to 128 of `A-Z a-z 0-9 . _ -`.",
        "schema": _TEXT,
    },
}


class DocumentedApi(Api):  # type: ignore[misc]  # its base has no types
    """flask-smorest's registry of routes and schemas; errors are not its business."""

    DEFAULT_ERROR_RESPONSE_NAME = None

    def __init__(self, app: Flask) -> None:
        super().__init__(
            app,
            spec_kwargs={
                "title": TITLE,
                "version": API_VERSION,
                "openapi_version": OPENAPI_VERSION,
                "info": {
                    "description": DESCRIPTION,
                    "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
                },
                "servers": [{"url": "/", "description": "This server."}],
            },
        )
        self._describing = threading.Lock()
        self._undescribed: list[Blueprint] = []
        # A text or a number: it says itself what it is.
        self.register_field(Money, None, None)
        self.register_field(QueryFlag, "string", None)
        self.register_field(QueryInteger, "integer", None)
        self.register_field(QueryTime, "string", "date-time")
        components = self.spec.components
        components.schema("Problem", schema=Problem)
        components.security_scheme(
            SECURITY_SCHEME,
            {
                "type": "http",
                "scheme": "bearer",
                "bearerFormat": "JWT",
                "description": "The access token of login or refresh.",
            },
        )
        for name, header in HEADERS.items():
            components.header(name, header)
        for name, parameter in PARAMETERS.items():
            components.parameter(name, "header", parameter)

    def _register_error_handlers(self) -> None:
        """Register nothing: the edge has handlers of its own."""

    def _register_responses(self) -> None:
        """Register nothing: each operation describes its own errors."""

    def _register_pagination_header(self) -> None:
        """Register nothing: pages are described by their envelope."""

    def register_blueprint(self, blp: Blueprint) -> None:
        """Serve a blueprint's routes, to be described in the document.

        That takes longer than all else a worker does before it serves, so it is put off until
        somebody asks for the document; most workers are never asked.
        """
        self._app.extensions["flask-smorest"]["blp_name_to_api"][blp.name] = self
        self._app.register_blueprint(blp)
        self._undescribed.append(blp)

    def document(self) -> dict[str, Any]:
        """Return the document, of all routes that are registered by now."""
        with self._describing:
            for blp in self._undescribed:
                blp.register_views_in_doc(
                    self, self._app, self.spec, name=blp.name, parameters=None
                )
                self.spec.tag({"name": blp.name, "description": blp.description})
            self._undescribed.clear()
            document: dict[str, Any] = self.spec.to_dict()
        codes = sorted(_referred_examples(document["paths"]))
        document["components"]["examples"] = {code: problem_example(code) for code in codes}
        return document


def _referred_examples(paths: dict[str, Any]) -> set[str]:
    """Return the codes whose examples some answer refers to."""
    return {
        code
        for operations in paths.values()
        for operation in operations.values()
        if isinstance(operation, dict)
        for response in operation["responses"].values()
        for content in response.get("content", {}).values()
        for code in content.get("examples", {})
    }


def text_of(document: dict[str, Any]) -> str:
    """Return the document as it is committed: the same text for the same document."""
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
