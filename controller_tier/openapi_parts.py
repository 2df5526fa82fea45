"""What the OpenAPI document says about one operation, made from its row of the table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from controller_tier.access_table import Access
from controller_tier.json_body import MERGE_PATCH_TYPE
from controller_tier.multipart import FORM_TYPE
from controller_tier.operations import Answer, Operation
from controller_tier.problems import PROBLEM_TYPE, phrase_of, problem_type, status_of
from controller_tier.schemas.body import Body
from tier_runtime.catalogue import CATALOGUE

_REQUEST_ID = "0192f0c1-7d1e-7cc3-98c4-dc0c0c07398f"
_TIMESTAMP = "2026-11-21T04:00:00Z"

SECURITY_SCHEME = "bearerAuth"

_TOKEN_PROBLEMS = ("UNAUTHENTICATED", "INVALID_TOKEN", "TOKEN_EXPIRED", "TOKEN_REVOKED")
_BODY_PROBLEMS = (
    "MALFORMED_BODY",
    "VALIDATION_FAILED",
    "BODY_TOO_LARGE",
    "UNSUPPORTED_MEDIA_TYPE",
)
_HOP_PROBLEMS = ("SERVICE_UNAVAILABLE", "DEADLINE_EXCEEDED")

# Headers that go with a status, besides those of the operation.
_STATUS_HEADERS = {401: ("WWW-Authenticate",), 429: ("Retry-After",), 503: ("Retry-After",)}


def operation_document(operation: Operation) -> dict[str, Any]:
    """Return the operation object, less its body and query, which their schemas describe."""
    document: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "security": _security(operation.access),
        "responses": _responses(operation),
    }
    if operation.description:
        document["description"] = operation.description
    return document


def header_parameters(operation: Operation) -> list[str]:
    """Return the names of the header parameters, which are components of the document."""
    names = ["X-Request-ID"]
    if operation.idempotent:
        names.append("Idempotency-Key")
    if operation.conditional_read:
        names.append("If-None-Match")
    if operation.conditional_write:
        names.append("If-Match")
    return names


def complete(document: dict[str, Any], operation: Operation) -> dict[str, Any]:
    """Return what the schemas of body and query made of the operation, completed."""
    described = operation_document(operation)
    parameters = [*document.get("parameters", []), *header_parameters(operation)]
    content = document.get("requestBody", {}).get("content", {})
    if operation.body is not None and issubclass(operation.body, Body):
        document["requestBody"]["required"] = not operation.body.may_be_absent
    if operation.method == "PATCH" and content:
        content[MERGE_PATCH_TYPE] = dict(content["application/json"])
    if operation.form is not None:
        form = {"schema": dict(operation.form)}
        described["requestBody"] = {"required": True, "content": {FORM_TYPE: form}}
    return {**document, **described, "parameters": parameters}


def problem_example(code: str) -> dict[str, Any]:
    """Return an example of the problem with this code."""
    entry, status = CATALOGUE[code], status_of(code)
    value: dict[str, Any] = {
        "type": problem_type(code),
        "title": phrase_of(status),
        "status": status,
        "detail": entry.description,
        "instance": "/api/v1/users",
        "code": code,
        "request_id": _REQUEST_ID,
        "timestamp": _TIMESTAMP,
    }
    if code == "VALIDATION_FAILED":
        value["errors"] = {"email": ["Not a valid email address."]}
    return {"summary": entry.title, "value": value}


def problem_codes(operation: Operation) -> list[str]:
    """Return every code that the operation can answer with, in the catalogue's order."""
    # Any request may have waited too long for a thread.
    codes = {*operation.problems, "INTERNAL_ERROR", "SERVICE_UNAVAILABLE"}
    if operation.takes_body:
        codes.update(_BODY_PROBLEMS)
    if operation.query is not None or operation.parameters or _takes_headers(operation):
        codes.add("VALIDATION_FAILED")
    if operation.access is not Access.EVERYONE:
        codes.update(_TOKEN_PROBLEMS, _HOP_PROBLEMS)
    if operation.access is Access.OPTIONAL:
        codes.discard("UNAUTHENTICATED")
    if operation.access is Access.ADMIN:
        codes.add("FORBIDDEN")
    if operation.limits:
        codes.add("RATE_LIMITED")
    if operation.idempotent:
        codes.update(_key_codes(operation))
    if operation.conditional_write:
        codes.update({"PRECONDITION_FAILED", "PRECONDITION_REQUIRED"})
    if operation.hops:
        codes.update(_HOP_PROBLEMS)
    return [code for code in CATALOGUE if code in codes]


def _key_codes(operation: Operation) -> tuple[str, ...]:
    # Without a body there is no other request that could have the key.
    if operation.body is None:
        return ("IDEMPOTENCY_IN_PROGRESS",)
    return ("IDEMPOTENCY_IN_PROGRESS", "IDEMPOTENCY_KEY_REUSED")


def _takes_headers(operation: Operation) -> bool:
    return operation.idempotent or operation.conditional_read or operation.conditional_write


def _security(access: Access) -> list[dict[str, list[str]]]:
    if access is Access.EVERYONE:
        return []
    token: dict[str, list[str]] = {SECURITY_SCHEME: []}
    return [{}, token] if access is Access.OPTIONAL else [token]


def _responses(operation: Operation) -> dict[str, Any]:
    general = ["X-Request-ID"]
    counted = [*general, "RateLimit-Policy", "RateLimit"] if operation.limits else general
    responses = {str(each.status): _answer(each, counted) for each in operation.answers}
    if operation.conditional_read:
        responses["304"] = {
            "description": "The client has this version already.",
            "headers": _headers([*counted, "ETag"]),
        }
    by_status: dict[int, list[str]] = {}
    for code in problem_codes(operation):
        by_status.setdefault(status_of(code), []).append(code)
    uncounted = _uncounted_codes(operation)
    for status, codes in by_status.items():
        # A health report comes with 503 too, and is no problem document.
        if str(status) not in responses:
            headers = counted if uncounted.isdisjoint(codes) else general
            responses[str(status)] = _problem(status, codes, headers)
    return dict(sorted(responses.items()))


def _uncounted_codes(operation: Operation) -> set[str]:
    """Return the codes that may come before a request is counted against its limits."""
    codes = {"INTERNAL_ERROR", "SERVICE_UNAVAILABLE"}
    if operation.takes_body:
        codes.update(_BODY_PROBLEMS)
    if operation.query is not None or operation.parameters:
        codes.add("VALIDATION_FAILED")
    if operation.access is not Access.EVERYONE:
        codes.update(_TOKEN_PROBLEMS, _HOP_PROBLEMS, ("FORBIDDEN",))
    return codes


def _answer(answer: Answer, general: list[str]) -> dict[str, Any]:
    document: dict[str, Any] = {
        "description": answer.description,
        "headers": _headers([*general, *answer.headers]),
    }
    if answer.schema is not None:
        content: dict[str, Any] = {"schema": answer.schema}
        if answer.example is not None:
            content["example"] = answer.example
        document["content"] = {each: dict(content) for each in answer.content_types}
    return document


def _problem(status: int, codes: list[str], general: list[str]) -> dict[str, Any]:
    lines = [f"- `{code}`: {CATALOGUE[code].description}" for code in codes]
    return {
        "description": "\n".join([f"{phrase_of(status)}.", "", *lines]),
        "headers": _headers([*general, *_STATUS_HEADERS.get(status, ())]),
        "content": {
            PROBLEM_TYPE: {
                "schema": {
                    "allOf": [
                        {"$ref": "#/components/schemas/Problem"},
                        {
                            "type": "object",
                            "properties": {
                                "status": {"const": status},
                                "code": {"enum": codes},
                            },
                        },
                    ]
                },
                "examples": {code: {"$ref": f"#/components/examples/{code}"} for code in codes},
            }
        },
    }


def _headers(names: Iterable[str]) -> dict[str, str]:
    # A bare name becomes a reference to the component of that name.
    return {name: name for name in names}
