"""The OpenAPI document is the code's, valid, and complete."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from controller_tier.app import unconnected_document
from controller_tier.openapi import main
from controller_tier.openapi_document import text_of
from controller_tier.problems import PROBLEM_TYPE, status_of
from tier_runtime.catalogue import CATALOGUE

COMMITTED = Path(__file__).resolve().parents[2] / "docs" / "openapi.json"
VERBS = ("get", "put", "post", "patch", "delete")
# The rows of the edge's contract that are served by now. OPTIONAL: with a token or without one.
ROWS = """
POST /auth/register 201 EMAIL_EXISTS IDEMPOTENCY_IN_PROGRESS IDEMPOTENCY_KEY_REUSED RATE_LIMITED
POST /auth/login 200 INVALID_CREDENTIALS ACCOUNT_NOT_ACTIVE RATE_LIMITED
POST /auth/refresh 200 INVALID_TOKEN TOKEN_EXPIRED TOKEN_REVOKED RATE_LIMITED
POST /auth/logout 204
POST /auth/logout-all 204 UNAUTHENTICATED
POST /auth/change-password 204 UNAUTHENTICATED INVALID_CREDENTIALS
POST /auth/password-reset 202 RATE_LIMITED
POST /auth/password-reset/confirm 204 INVALID_TOKEN
POST /auth/verify-email 204 INVALID_TOKEN
POST /auth/verify-email/resend 202 UNAUTHENTICATED
GET /auth/me 200 UNAUTHENTICATED
GET /auth/sessions 200 UNAUTHENTICATED
DELETE /auth/sessions/{id} 204 UNAUTHENTICATED NOT_FOUND
GET /users 200 UNAUTHENTICATED FORBIDDEN VALIDATION_FAILED
POST /users 201 UNAUTHENTICATED FORBIDDEN EMAIL_EXISTS IDEMPOTENCY_KEY_REUSED
GET /users/{id} 200 UNAUTHENTICATED FORBIDDEN USER_NOT_FOUND
GET /users/me 200 UNAUTHENTICATED
PUT /users/{id} 200 UNAUTHENTICATED FORBIDDEN USER_NOT_FOUND EMAIL_EXISTS PRECONDITION_FAILED
PATCH /users/{id} 200 UNAUTHENTICATED FORBIDDEN USER_NOT_FOUND EMAIL_EXISTS PRECONDITION_FAILED
PATCH /users/{id}/status 200 UNAUTHENTICATED FORBIDDEN USER_NOT_FOUND INVALID_STATE
PUT /users/{id}/roles 200 UNAUTHENTICATED FORBIDDEN USER_NOT_FOUND INVALID_STATE
DELETE /users/{id} 204 UNAUTHENTICATED FORBIDDEN USER_NOT_FOUND INVALID_STATE
GET /users/{id}/profile 200 UNAUTHENTICATED FORBIDDEN USER_NOT_FOUND
PUT /users/{id}/profile 200 UNAUTHENTICATED FORBIDDEN USER_NOT_FOUND PRECONDITION_REQUIRED
GET /products 200 OPTIONAL INVALID_TOKEN VALIDATION_FAILED
GET /products/search 200 OPTIONAL INVALID_TOKEN VALIDATION_FAILED
GET /products/{id} 200 OPTIONAL TOKEN_EXPIRED TOKEN_REVOKED PRODUCT_NOT_FOUND
POST /products 201 UNAUTHENTICATED FORBIDDEN IDEMPOTENCY_IN_PROGRESS IDEMPOTENCY_KEY_REUSED
PUT /products/{id} 200 UNAUTHENTICATED FORBIDDEN PRODUCT_NOT_FOUND PRECONDITION_FAILED
PATCH /products/{id} 200 UNAUTHENTICATED FORBIDDEN PRODUCT_NOT_FOUND PRECONDITION_REQUIRED
PATCH /products/{id}/stock 200 UNAUTHENTICATED FORBIDDEN PRODUCT_NOT_FOUND INSUFFICIENT_STOCK
POST /products/stock/batch 200 UNAUTHENTICATED FORBIDDEN VALIDATION_FAILED IDEMPOTENCY_KEY_REUSED
GET /products/{id}/stock/movements 200 UNAUTHENTICATED FORBIDDEN PRODUCT_NOT_FOUND
DELETE /products/{id} 204 UNAUTHENTICATED FORBIDDEN PRODUCT_NOT_FOUND PRECONDITION_FAILED
POST /orders 201 UNAUTHENTICATED PRODUCT_NOT_FOUND INSUFFICIENT_STOCK IDEMPOTENCY_IN_PROGRESS
GET /orders 200 UNAUTHENTICATED VALIDATION_FAILED
GET /orders/{id} 200 UNAUTHENTICATED ORDER_NOT_FOUND
POST /orders/{id}/cancel 200 UNAUTHENTICATED ORDER_NOT_FOUND INVALID_STATE
PATCH /orders/{id}/status 200 UNAUTHENTICATED FORBIDDEN ORDER_NOT_FOUND INVALID_STATE
GET /events 200 UNAUTHENTICATED FORBIDDEN VALIDATION_FAILED
POST /files 201 UNAUTHENTICATED UNSUPPORTED_MEDIA_TYPE BODY_TOO_LARGE QUOTA_EXCEEDED
GET /files 200 UNAUTHENTICATED VALIDATION_FAILED
GET /files/{id} 200 UNAUTHENTICATED FILE_NOT_FOUND
GET /files/{id}/download 200 UNAUTHENTICATED FILE_NOT_FOUND
GET /files/{id}/content 206 FORBIDDEN FILE_NOT_FOUND RANGE_NOT_SATISFIABLE
DELETE /files/{id} 204 UNAUTHENTICATED FILE_NOT_FOUND PRECONDITION_FAILED
GET /settings/account-info 200 UNAUTHENTICATED
POST /settings/change-password 204 UNAUTHENTICATED INVALID_CREDENTIALS
""".strip().splitlines()


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return unconnected_document()


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for verb in VERBS:
            if verb in item:
                yield f"{verb.upper()} {path}", item[verb]


def _codes(operation: dict[str, Any]) -> dict[str, str]:
    """Return every problem code of an operation with its status."""
    found: dict[str, str] = {}
    for status, response in operation["responses"].items():
        content = response.get("content", {}).get(PROBLEM_TYPE)
        if content is not None:
            [_, narrowed] = content["schema"]["allOf"]
            found |= dict.fromkeys(narrowed["properties"]["code"]["enum"], status)
    return found


def test_the_committed_document_is_what_the_code_says(document: dict[str, Any]) -> None:
    assert text_of(document) == COMMITTED.read_text(encoding="utf-8"), (
        "docs/openapi.json is not what the code makes; run `make openapi`."
    )


def test_it_is_the_same_each_time(
    document: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main() == 0
    assert capsys.readouterr().out == text_of(document)


def test_it_is_valid_openapi(document: dict[str, Any]) -> None:
    errors = list(OpenAPIV31SpecValidator(json.loads(text_of(document))).iter_errors())
    assert errors == []


@pytest.mark.parametrize("row", ROWS)
def test_every_row_is_there_with_its_answers(document: dict[str, Any], row: str) -> None:
    method, path, status, *codes = row.split()
    operation = document["paths"][f"/api/v1{path}"][method.lower()]
    assert status in operation["responses"]
    assert set(codes) - {"OPTIONAL"} <= set(_codes(operation))
    token: dict[str, list[str]] = {"bearerAuth": []}
    if "OPTIONAL" in codes:
        assert operation["security"] == [{}, token]
        assert "UNAUTHENTICATED" not in _codes(operation)
    else:
        assert operation["security"] == ([token] if "UNAUTHENTICATED" in codes else [])


def test_what_has_no_base_path_is_there(document: dict[str, Any]) -> None:
    paths = {path for path in document["paths"] if not path.startswith("/api/v1/")}
    assert paths == {
        "/.well-known/jwks.json",
        "/docs",
        "/health",
        "/health/live",
        "/health/ready",
        "/openapi.json",
    }


def test_every_operation_is_described(document: dict[str, Any]) -> None:
    names = []
    for row, operation in _operations(document):
        names.append(operation["operationId"])
        assert re.fullmatch(r"[a-z][A-Za-z]+", operation["operationId"]), row
        assert operation["summary"].endswith("."), row
        assert len(operation["tags"]) == 1, row
        assert "500" in operation["responses"], row
        assert {"$ref": "#/components/parameters/X-Request-ID"} in operation["parameters"], row
        for status, response in operation["responses"].items():
            assert response["description"], (row, status)
            assert "X-Request-ID" in response["headers"], (row, status)
    assert len(names) == len(set(names))
    tags = {tag["name"]: tag["description"] for tag in document["tags"]}
    assert all(tags.values())


def test_every_problem_has_its_status_and_example(document: dict[str, Any]) -> None:
    for row, operation in _operations(document):
        for code, status in _codes(operation).items():
            assert code in CATALOGUE, row
            assert status == str(status_of(code)), row
            example = document["components"]["examples"][code]["value"]
            assert (example["code"], example["status"]) == (code, int(status))


def test_headers_go_with_what_asks_for_them(document: dict[str, Any]) -> None:
    for row, operation in _operations(document):
        responses = operation["responses"]
        for status, header in (
            ("401", "WWW-Authenticate"),
            ("429", "Retry-After"),
            ("503", "Retry-After"),
        ):
            if status in responses:
                assert header in responses[status]["headers"], row
        # Not where an answer may come before the request is counted, such as that of a bad body.
        limited = "429" in responses
        always = {"200", "201", "202", "204", "304", "429"} & set(responses)
        assert all(("RateLimit" in responses[each]["headers"]) == limited for each in always), row
        never = {"413", "415", "500", "503"} & set(responses)
        assert not any("RateLimit" in responses[each]["headers"] for each in never), row
        if "201" in responses:
            assert {"ETag", "Location", "Idempotent-Replay"} <= set(responses["201"]["headers"])


def test_bodies_are_closed_and_answers_are_open(document: dict[str, Any]) -> None:
    for name, schema in document["components"]["schemas"].items():
        closed = schema.get("additionalProperties") is False
        assert closed == name.endswith("Body"), name


def test_a_patch_may_come_as_a_merge_patch(document: dict[str, Any]) -> None:
    for row, operation in _operations(document):
        if row.startswith("PATCH"):
            assert set(operation["requestBody"]["content"]) == {
                "application/json",
                "application/merge-patch+json",
            }


def test_no_answer_can_hold_a_password(document: dict[str, Any]) -> None:
    for name, schema in document["components"]["schemas"].items():
        if not name.endswith("Body"):
            assert not any("password" in field or "hash" in field for field in schema["properties"])
