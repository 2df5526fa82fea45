"""A consumer of the edge, as the tests see it: HTTP only, nothing of the tiers' code."""

from __future__ import annotations

import itertools
import re
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import requests
from requests.adapters import HTTPAdapter

API = "/api/v1"
PROBLEM = "application/problem+json"
PROBLEM_FIELDS = {
    "type",
    "title",
    "status",
    "detail",
    "instance",
    "code",
    "request_id",
    "timestamp",
}
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
# Longer than any deadline of the edge: an answer that takes this long is a fault in itself.
PATIENCE_SECONDS = 15.0

Json = dict[str, Any]
Observer = Callable[[str, str, requests.Response], None]
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a sign-in gave."""

    access: str
    refresh: str


@dataclass(frozen=True, slots=True)
class Account:
    """A registered user and what is needed to sign in again."""

    id: str
    email: str
    password: str
    tokens: Tokens

    @property
    def bearer(self) -> dict[str, str]:
        return bearer(self.tokens.access)


def bearer(access_token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {access_token}"}


def new_email(name: str = "ada") -> str:
    return f"{name}.{next(_numbers)}.{secrets.token_hex(4)}@people.example"


def new_password() -> str:
    return f"Pw1{secrets.token_urlsafe(12)}"


class Edge:
    """Calls one running edge; safe to use from several threads.

    Args:
        url: without the base path.
        observe: called with method, path and answer of every call; may raise.

    Attributes:
        secrets: every e-mail address, password and token that went over the wire, for those who
            look whether any of them got into a log.
    """

    def __init__(self, url: str, observe: Observer | None = None, connections: int = 128) -> None:
        self.url = url
        self.secrets: set[str] = set()
        self._observe = observe
        self._lock = threading.Lock()
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.mount("http://", HTTPAdapter(pool_connections=1, pool_maxsize=connections))

    def __enter__(self) -> Edge:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._session.close()

    def call(
        self,
        method: str,
        path: str,
        json: object = None,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        data: bytes | str | None = None,
    ) -> requests.Response:
        """Send one request; `path` begins with a slash, and the base path is put before it.

        A path that the contract keeps outside the base path is sent as it is.
        """
        target = path if is_outside_base(path) else API + path
        response = self._session.request(
            method,
            self.url + target,
            json=json,
            headers=headers,
            params=params,
            data=data,
            timeout=PATIENCE_SECONDS,
            allow_redirects=False,
        )
        self._note(json, response)
        if self._observe is not None:
            self._observe(method, target, response)
        return response

    def get(self, path: str, **options: Any) -> requests.Response:
        return self.call("GET", path, **options)

    def post(self, path: str, json: object = None, **options: Any) -> requests.Response:
        return self.call("POST", path, json, **options)

    def is_live(self) -> bool:
        """Ask whether it has begun to answer."""
        try:
            return self.get("/health/live").status_code == 200
        except requests.ConnectionError:
            return False

    def me(self, access_token: str) -> requests.Response:
        return self.get("/auth/me", headers=bearer(access_token))

    def register(
        self, email: str | None = None, password: str | None = None, name: str = "Ada Lovelace"
    ) -> requests.Response:
        body = {"name": name, "email": email or new_email(), "password": password or new_password()}
        return self.post("/auth/register", body)

    def login(self, email: str, password: str) -> requests.Response:
        return self.post("/auth/login", {"email": email, "password": password})

    def sign_in(self, email: str, password: str) -> Tokens:
        """Sign in and expect that it works."""
        answer = expect(self.login(email, password), 200)
        return Tokens(answer["access_token"], answer["refresh_token"])

    def refresh(self, refresh_token: str) -> requests.Response:
        return self.post("/auth/refresh", {"refresh_token": refresh_token})

    def new_account(self, name: str = "Ada Lovelace") -> Account:
        """Register somebody new and sign them in."""
        email, password = new_email(), new_password()
        user = expect(self.register(email, password, name), 201)
        return Account(user["id"], email, password, self.sign_in(email, password))

    def _note(self, sent: object, response: requests.Response) -> None:
        found: set[str] = set()
        for body in (sent, _json_or_none(response)):
            if isinstance(body, dict):
                found |= {
                    value
                    for key, value in body.items()
                    if ("token" in key or "password" in key or key == "email")
                    and key not in {"token_type", "email_verified"}
                    and isinstance(value, str)
                    and len(value) >= 8
                }
        with self._lock:
            self.secrets |= found


def is_outside_base(path: str) -> bool:
    return path.startswith(("/health", "/docs", "/openapi.json", "/.well-known", API))


def expect(response: requests.Response, status: int) -> Json:
    """Give the JSON object of an answer that must have this status."""
    assert response.status_code == status, f"{response.status_code}: {response.text[:500]}"
    body = _json_or_none(response)
    assert isinstance(body, dict), response.text[:500]
    return body


def expect_empty(response: requests.Response, status: int = 204) -> None:
    assert response.status_code == status, f"{response.status_code}: {response.text[:500]}"
    assert response.content == b""


def expect_problem(response: requests.Response, status: int, code: str) -> Json:
    """Hold an answer to RFC 9457 and to the API's own fields, and give its body."""
    assert response.status_code == status, f"{response.status_code}: {response.text[:500]}"
    assert response.headers["Content-Type"].partition(";")[0] == PROBLEM
    problem = _json_or_none(response)
    assert isinstance(problem, dict)
    assert problem["code"] == code, problem
    assert PROBLEM_FIELDS <= problem.keys() <= PROBLEM_FIELDS | {"errors"}
    assert problem["status"] == status
    assert problem["type"] == f"urn:arcana:problem:{code.lower().replace('_', '-')}"
    assert problem["title"]
    assert problem["detail"]
    assert problem["instance"] == response.request.path_url.partition("?")[0]
    assert problem["request_id"] == response.headers["X-Request-ID"]
    assert TIMESTAMP.fullmatch(problem["timestamp"])
    if code == "VALIDATION_FAILED":
        assert problem["errors"]
        for path, faults in problem["errors"].items():
            assert isinstance(path, str)
            assert faults
            assert all(isinstance(fault, str) for fault in faults)
    _expect_headers(response, status)
    return problem


def _expect_headers(response: requests.Response, status: int) -> None:
    if status == 401:
        assert response.headers["WWW-Authenticate"].startswith("Bearer")
    if status == 405:
        assert response.headers["Allow"]
    if status in {429, 503}:
        assert int(response.headers["Retry-After"]) >= 1


def _json_or_none(response: requests.Response) -> object:
    if "json" not in response.headers.get("Content-Type", ""):
        return None
    return response.json()
