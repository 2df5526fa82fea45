"""The audit log and the health screen of one `arcana up`: a story, and what is left of it."""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.stores.waiting import eventually
from tests.system.client import Account, Edge, bearer, expect, expect_problem
from tests.system.launcher_process import LauncherProcess
from tier_runtime.audit import address_digest

NOBODY = "nobody@people.example"
WRONG = "Wr0ng-password-1"


@dataclass(frozen=True, slots=True)
class Running:
    """Tiers that run, their edge, and where they write what was done."""

    launcher: LauncherProcess
    edge: Edge
    path: Path
    admin: dict[str, str]

    def lines(self) -> list[dict[str, Any]]:
        """Give the lines so far, those of the file that was moved away first."""
        moved = self.path.with_suffix(".1")
        files = [path for path in (moved, self.path) if path.exists()]
        return [json.loads(line) for path in files for line in path.read_text().splitlines()]

    def line(self, act: str, code: str = "", **fields: object) -> dict[str, Any]:
        """Give the one line of an act that ended in this code and has these fields."""

        def found() -> list[dict[str, Any]]:
            return [
                line
                for line in self.lines()
                if (line["act"], line.get("code", "")) == (act, code)
                and fields.items() <= line.items()
            ]

        (line,) = eventually(found, what=f"{act} {code}")
        return line


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    home = tmp_path_factory.mktemp("audit")
    path = home / "audit.jsonl"
    settings = {
        "AUDIT_LOG_FILE": str(path),
        "PASSWORD_HASH_METHOD": "scrypt:1024:8:1",
        "RATE_LIMIT_LOGIN_EMAIL": "2/600",
        "WEB_WORKERS": "2",
    }
    with LauncherProcess(home, ("up",), settings) as launcher:
        launcher.wait_until_up()
        made = re.search(r"admin (\S+) with the password (\w+)", launcher.log)
        assert made
        with Edge(launcher.edge_url) as edge:
            edge.secrets |= set(made.groups())
            admin = bearer(edge.sign_in(made[1], made[2]).access)
            yield Running(launcher, edge, path, admin)


def test_logins_tell_who_and_why_not(running: Running) -> None:
    edge = running.edge
    account = edge.new_account()
    done = running.line(
        "AuthService/Login", outcome="done", request_id=_sign_in_id(edge, account, 200)
    )
    assert done["target"]["user_id"] == account.id
    assert done["client_address"] == "127.0.0.1"
    wrong = edge.login(account.email, WRONG).headers["X-Request-ID"]
    refused = running.line("AuthService/Login", "RATE_LIMITED", request_id=wrong)
    assert (refused["tier"], refused["outcome"]) == ("controller", "denied")
    moment = refused["target"]["first_time"]
    assert moment <= refused["time"]
    assert refused["target"] == {
        "address_sha256": address_digest(account.email),
        "limit": "login-email",
        "refused": 1,
        "first_time": moment,
        "last_time": moment,
    }
    unknown = edge.login(NOBODY, WRONG).headers["X-Request-ID"]
    nobody = running.line("AuthService/Login", "INVALID_CREDENTIALS", request_id=unknown)
    assert (nobody["tier"], nobody["reason"]) == ("service", "unknown_account")
    assert nobody["target"] == {"address_sha256": address_digest(NOBODY)}


def test_a_stolen_refresh_token_is_told_with_the_session_that_it_ended(running: Running) -> None:
    account = running.edge.new_account()
    expect(running.edge.refresh(account.tokens.refresh), 200)
    again = running.edge.refresh(account.tokens.refresh)
    expect_problem(again, 401, "TOKEN_REVOKED")
    line = running.line(
        "AuthService/RefreshSession", "TOKEN_REVOKED", request_id=again.headers["X-Request-ID"]
    )
    assert line["reason"] == "used_twice"
    assert line["target"]["user_id"] == account.id


def test_denials_stand_where_they_were_decided(running: Running) -> None:
    edge, account = running.edge, running.edge.new_account()
    other = edge.new_account()
    at_edge = edge.call("DELETE", f"/users/{other.id}", headers=account.bearer)
    expect_problem(at_edge, 403, "FORBIDDEN")
    behind = edge.get(f"/users/{other.id}", headers=account.bearer)
    expect_problem(behind, 403, "FORBIDDEN")
    for answer, act, tier in (
        (at_edge, "UserService/DeleteUser", "controller"),
        (behind, "UserService/GetUser", "service"),
    ):
        line = running.line(act, "FORBIDDEN", request_id=answer.headers["X-Request-ID"])
        assert (line["tier"], line["outcome"]) == (tier, "denied")
        assert line["actor"]["subject"] == account.id


def test_what_admins_and_operators_do_is_told_and_goes_on_in_a_new_file(running: Running) -> None:
    edge, account = running.edge, running.edge.new_account()
    changed = edge.call(
        "PUT", f"/users/{account.id}/roles", {"roles": ["premium"]}, headers=running.admin
    )
    expect(changed, 200)
    line = running.line("UserService/ReplaceUserRoles")
    assert (line["outcome"], line["actor"]["roles"]) == ("done", ["admin", "user"])
    assert line["target"] == {"user_id": account.id, "roles": ["premium"]}
    before = running.path.stat()
    assert stat.S_IMODE(before.st_mode) == 0o600
    running.path.rename(running.path.with_suffix(".1"))
    made = running.launcher.sister("create-admin", "--email", "second@people.example")
    edge.secrets |= {"second@people.example", *re.findall(r"the password (\w+)", made)}
    gone = edge.call("DELETE", f"/users/{account.id}", headers=running.admin)
    assert gone.status_code == 204
    assert running.line("UserService/DeleteUser")["target"] == {"user_id": account.id}
    # The first was made by `up` itself.
    operators = [each for each in running.lines() if each["act"] == "UserService/CreateUser"]
    assert [each["actor"]["subject"] for each in operators] == ["system", "system"]
    new = running.path.stat()
    assert (new.st_ino != before.st_ino, stat.S_IMODE(new.st_mode)) == (True, 0o600)


def test_no_line_holds_a_password_a_token_or_an_address(running: Running) -> None:
    account = running.edge.new_account()
    body = {"current_password": account.password, "new_password": WRONG}
    running.edge.post("/auth/change-password", body, headers=account.bearer)
    running.edge.post("/auth/password-reset", {"email": account.email})
    running.line("AuthService/RequestPasswordReset")
    text = json.dumps(running.lines())
    assert len(running.edge.secrets) > 8
    assert [secret for secret in running.edge.secrets if secret in text] == []
    assert "@" not in text


def test_the_health_screen_shows_every_process_and_what_is_behind(running: Running) -> None:
    urls = {
        "controller": running.launcher.edge_url,
        "service": f"grpc://{running.launcher.environ['SERVICE_BIND']}",
        "repository": f"grpc://{running.launcher.environ['REPOSITORY_BIND']}",
    }
    screen = running.launcher.sister("health")
    rows = {line.split()[0]: line.split() for line in screen.splitlines() if line}
    for name, url in urls.items():
        assert (rows[name][1], rows[name][-1]) == ("ok", url), screen
    assert re.search(r"^database +ok +sqlite, revision (\d+) \(needed: \1\)", screen, re.MULTILINE)
    assert re.search(r"^cache +ok +memory, breaker closed", screen, re.MULTILINE)
    assert re.search(r"^events +\d+ .*unpublished, \d+ .*unsettled, 0 dead$", screen, re.MULTILINE)
    assert re.search(r"^jobs +\d+ .*waiting, \d+ running, 0 given up$", screen, re.MULTILINE)
    assert screen.endswith("All is well.\n")
    document = json.loads(running.launcher.sister("health", "--json"))
    assert document["status"] == "ok"
    assert {each["name"]: each["url"] for each in document["processes"]} == urls
    assert all(each["version"] for each in document["processes"])


def _sign_in_id(edge: Edge, account: Account, status: int) -> str:
    answer = edge.login(account.email, account.password)
    expect(answer, status)
    return answer.headers["X-Request-ID"]
