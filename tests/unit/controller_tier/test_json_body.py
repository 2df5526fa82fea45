from __future__ import annotations

import io
import json
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller_tier.json_body import MAX_DEPTH, parse_json
from tests.unit.controller_tier.edge import Edge, problem_of
from tier_runtime.errors import AppError

# One application for all examples: nothing in these tests depends on what it remembers.
EDGE = Edge.make(rate_limit_enabled=False)
USER, TOKEN = EDGE.signed_in("admin")
PRODUCT = EDGE.tier.add_product()

CHUNKED = {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True}

MALFORMED = [
    b"",
    b" ",
    b"{",
    b"nul",
    b"'a'",
    b'{"a":1,}',
    b'{"a":NaN}',
    b'{"a":Infinity}',
    b'{"a":-Infinity}',
    b'{"a":1e999}',
    b'{"a":-1e999}',
    b'{"a":1e-99999999999999999999}',
    b'{"a":1,"a":2}',
    b'{"a":{"b":1,"\\u0062":2}}',
    b'{"a":"\\ud800"}',
    b'{"\\udc00":1}',
    b'{"a":"\xff"}',
    b'\xef\xbb\xbf{"a":1}',
    "{}".encode("utf-16"),
    b'{"a":9223372036854775808}',
    b'{"a":-9223372036854775809}',
    b'{"a":' + b"9" * 100_000 + b"}",
    b"[" * 100_000,
    b'{"a":' * 500 + b"1" + b"}" * 500,
    b"[" * 1000 + b"]" * 1000,
    b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1),
]


@pytest.mark.parametrize("body", MALFORMED, ids=range(len(MALFORMED)))
def test_what_only_looks_like_json_is_malformed(body: bytes) -> None:
    answer = EDGE.call(
        "POST", "auth/login", data=body, headers={"Content-Type": "application/json"}
    )
    problem_of(answer, 400, "MALFORMED_BODY")


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'{"a":9223372036854775807}', {"a": 2**63 - 1}),
        (b'{"a":-9223372036854775808}', {"a": -(2**63)}),
        (b'{"a":1.5e3,"b":true}', {"a": Decimal(1500), "b": True}),
        # Exactly, where a float would be a little less.
        (b"[0.1,1e2,-0.0,1E-400]", [Decimal("0.1"), 100, 0, Decimal("1E-400")]),
        ('{"é":"\U0001f600"}'.encode(), {"é": "\U0001f600"}),
        (b'"\\ud83d\\ude00"', "\U0001f600"),
        (b"[[]]", [[]]),
    ],
)
def test_json_within_the_bounds_is_taken(body: bytes, value: object) -> None:
    assert parse_json(body) == value


def test_the_deepest_nesting_is_taken() -> None:
    assert parse_json(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)


@pytest.mark.parametrize("body", [[], "text", 7, True, None, [{}]])
def test_a_body_that_is_no_object_is_a_field_error_of_the_whole(body: object) -> None:
    answer = EDGE.call(
        "POST",
        "auth/login",
        data=json.dumps(body),
        headers={"Content-Type": "application/json"},
    )
    assert set(problem_of(answer, 400, "VALIDATION_FAILED")["errors"]) == {"body"}


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json; charset=latin-1",
        "application/merge-patch+json",
        "application/problem+json",
        "nonsense",
        "",
    ],
)
def test_another_media_type_is_not_supported(content_type: str) -> None:
    answer = EDGE.call("POST", "auth/login", data=b"{}", headers={"Content-Type": content_type})
    problem_of(answer, 415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize("content_type", ["application/json", "Application/JSON; charset=UTF-8"])
def test_json_may_name_its_charset(content_type: str) -> None:
    answer = EDGE.call("POST", "auth/login", data=b"{}", headers={"Content-Type": content_type})
    problem_of(answer, 400, "VALIDATION_FAILED")


def test_a_coded_body_is_not_supported() -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    answer = EDGE.call("POST", "auth/login", data=b"{}", headers=headers)
    problem_of(answer, 415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize("headers", [{}, {"Content-Encoding": "gzip"}])
def test_a_chunked_body_must_name_its_type_too(headers: dict[str, str]) -> None:
    # As a server hands a chunked body on: without a length, but with an end.
    options: dict[str, Any] = {"input_stream": io.BytesIO(b"{}"), "environ_overrides": CHUNKED}
    answer = EDGE.call("POST", "auth/login", headers=headers, **options)
    problem_of(answer, 415, "UNSUPPORTED_MEDIA_TYPE")


def test_no_body_at_all_is_malformed() -> None:
    options: dict[str, Any] = {"input_stream": io.BytesIO(b""), "environ_overrides": CHUNKED}
    problem_of(EDGE.call("POST", "auth/login", **options), 400, "MALFORMED_BODY")
    problem_of(EDGE.call("POST", "auth/login"), 400, "MALFORMED_BODY")


def test_a_body_over_the_limit_is_too_large() -> None:
    edge = Edge.make(max_body_bytes=100)
    headers = {"Content-Type": "application/json"}
    at_limit = edge.call("POST", "auth/login", data=b" " * 98 + b"{}", headers=headers)
    problem_of(at_limit, 400, "VALIDATION_FAILED")
    over = edge.call("POST", "auth/login", data=b" " * 99 + b"{}", headers=headers)
    problem_of(over, 413, "BODY_TOO_LARGE")


def test_so_many_unknown_fields_are_not_all_told() -> None:
    body = {f"{'x' * 500}{number}": 1 for number in range(500)}
    document = problem_of(EDGE.call("POST", "auth/login", body), 400, "VALIDATION_FAILED")
    assert len(document["errors"]) <= 50
    assert all(len(name) <= 100 for name in document["errors"])


# Whatever is sent, the edge has an answer of its own for it.

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
fields = st.sampled_from(
    [
        *("name", "email", "password", "roles", "status", "token", "refresh_token", "bio", "phone"),
        *("price", "currency", "stock", "quantity_change", "changes", "items"),
    ]
)
rows = st.sampled_from(
    [
        ("POST", "auth/register"),
        ("POST", "auth/login"),
        ("POST", "auth/refresh"),
        ("POST", "auth/password-reset/confirm"),
        ("POST", "users"),
        ("PUT", f"users/{USER.id}"),
        ("PATCH", f"users/{USER.id}"),
        ("PATCH", f"users/{USER.id}/status"),
        ("PUT", f"users/{USER.id}/roles"),
        ("PUT", f"users/{USER.id}/profile"),
        ("POST", "products"),
        ("PUT", f"products/{PRODUCT.id}"),
        ("PATCH", f"products/{PRODUCT.id}"),
        ("PATCH", f"products/{PRODUCT.id}/stock"),
        ("POST", "products/stock/batch"),
        ("POST", "orders"),
        ("PATCH", f"orders/{PRODUCT.id}/status"),
    ]
)
SOME = settings(max_examples=150, deadline=None)


def _is_an_answer(answer: Any) -> None:
    assert answer.status_code < 500, answer.data
    if answer.status_code >= 400:
        problem_of(answer, answer.status_code, answer.json["code"])


@SOME
@given(row=rows, body=st.dictionaries(fields | st.text(), anything, max_size=5))
def test_no_object_makes_the_edge_fail(row: tuple[str, str], body: dict[str, Any]) -> None:
    data = json.dumps(body).encode("utf-8", "surrogatepass")
    headers = {"Content-Type": "application/json"}
    _is_an_answer(EDGE.call(*row, data=data, token=TOKEN, headers=headers))


@SOME
@given(
    row=rows,
    data=st.binary(max_size=200) | st.text().map(lambda text: text.encode("utf-8", "replace")),
)
def test_no_bytes_make_the_edge_fail(row: tuple[str, str], data: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    _is_an_answer(EDGE.call(*row, data=data, token=TOKEN, headers=headers))


# What a server passes on: visible characters, spaces and bytes above them, read as latin-1.
header_texts = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=60
)
header_names = st.sampled_from(
    [
        "Authorization",
        "Content-Type",
        "Content-Encoding",
        "If-Match",
        "If-None-Match",
        "Idempotency-Key",
        "X-Request-ID",
        "traceparent",
        "User-Agent",
        "Origin",
        "X-Forwarded-For",
        "Range",
        "Accept",
        "Cookie",
    ]
)


@SOME
@given(
    headers=st.dictionaries(header_names, header_texts, max_size=5),
    row=rows | st.just(("GET", "users")),
)
def test_no_header_makes_the_edge_fail(headers: dict[str, str], row: tuple[str, str]) -> None:
    sent = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"} | headers
    _is_an_answer(EDGE.call(*row, data=b"{}", headers=sent))


@SOME
@given(
    query=st.dictionaries(
        st.sampled_from(["page", "size", "cursor", "sort", "order", "search", "created_after"])
        | st.text(max_size=5),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
        max_size=4,
    )
)
def test_no_query_makes_the_edge_fail(query: dict[str, str]) -> None:
    _is_an_answer(EDGE.call("GET", "users", token=TOKEN, query_string=query))


@SOME
@given(path=st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_no_path_makes_the_edge_fail(path: str) -> None:
    # Encoded, or the test client would take what follows "//" for a host.
    # Whole, since the client would take what follows two slashes for a host.
    _is_an_answer(EDGE.call("GET", f"http://localhost/{quote(path)}", token=TOKEN))
    _is_an_answer(EDGE.call("GET", f"users/{quote(path)}", token=TOKEN))


@SOME
@given(token=st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=200))
def test_no_token_makes_the_edge_fail(token: str) -> None:
    answer = EDGE.call("GET", "auth/me", headers={"Authorization": f"Bearer {token}"})
    problem_of(answer, 401, "INVALID_TOKEN")


@SOME
@given(text=st.text(max_size=40), least=st.integers(0, 5))
def test_what_the_parser_takes_protobuf_takes(text: str, least: int) -> None:
    data = json.dumps({"a": [text, least]}).encode()
    if any(0xD800 <= ord(character) <= 0xDFFF for character in text):
        with pytest.raises(AppError):
            parse_json(data)
    else:
        assert parse_json(data)["a"][0].encode() == text.encode()
