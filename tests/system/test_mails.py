"""From a request to the mail that answers it: all tiers and the worker, with nothing installed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import pytest

from tests.stores import Stores
from tests.stores.waiting import eventually
from tests.system.client import Edge, bearer, expect, expect_empty, expect_problem, new_password
from tests.system.processes import ArcanaProcesses

# How long a mail may take through relay, consumer, broker and worker on a busy machine.
SECONDS = 20.0
WELCOME = "Welcome to Arcana"
VERIFY = "Please confirm your email address"
RESET = "Set a new password"


@dataclass(frozen=True, slots=True)
class Post:
    """The mails that the worker has had written, as their recipients read them."""

    folder: Path

    def to(self, address: str) -> dict[str, EmailMessage]:
        """Give the mails to an address, by their subject; each subject came at most once."""
        files = self.folder.glob("*.eml")
        mails = [message_from_bytes(file.read_bytes(), policy=policy.default) for file in files]
        found = [mail for mail in mails if address in mail["To"]]
        by_subject = {mail["Subject"]: mail for mail in found}
        assert len(by_subject) == len(found), "a mail came twice"
        return by_subject

    def wait_for(self, address: str, *subjects: str) -> dict[str, EmailMessage]:
        """Wait until these mails have come, and no other one."""

        def came() -> dict[str, EmailMessage]:
            mails = self.to(address)
            assert mails.keys() == set(subjects)
            return mails

        return eventually(came, SECONDS, f"the mails {subjects}", interval=0.1)


@pytest.fixture(scope="module")
def arcana(stores: Stores, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ArcanaProcesses]:
    home = tmp_path_factory.mktemp("mails")
    settings = {"PUBLIC_BASE_URL": "https://shop.example"}
    with ArcanaProcesses(home, stores.new_store("embedded"), settings) as processes:
        processes.start("worker")
        yield processes


def token_in(mail: EmailMessage, page: str) -> str:
    body = mail.get_body(("plain",))
    assert body is not None
    link = re.search(rf"https://shop\.example/{page}\?token=(\S+)", body.get_content())
    assert link is not None, body.get_content()
    return link[1]


def test_who_registers_is_welcomed_and_gets_in_by_the_links_that_come(
    arcana: ArcanaProcesses,
) -> None:
    post = Post(Path(arcana.environ["ARCANA_HOME"]) / "mail")
    with Edge(arcana.edge_url) as edge:
        account = edge.new_account("Ada Lovelace")
        mails = post.wait_for(account.email, WELCOME, VERIFY)
        assert "Hello Ada Lovelace," in str(mails[WELCOME].get_body(("plain",)))
        assert mails[WELCOME].get_body(("html",)) is not None

        token = token_in(mails[VERIFY], "verify-email")
        assert expect(edge.me(account.tokens.access), 200)["email_verified"] is False
        expect_empty(edge.post("/auth/verify-email", {"token": token}))
        assert expect(edge.me(account.tokens.access), 200)["email_verified"] is True

        edge.post("/auth/password-reset", {"email": account.email})
        mails = post.wait_for(account.email, WELCOME, VERIFY, RESET)
        changed = new_password()
        body = {"token": token_in(mails[RESET], "reset-password"), "new_password": changed}
        expect_empty(edge.post("/auth/password-reset/confirm", body))
        expect_problem(edge.login(account.email, account.password), 401, "INVALID_CREDENTIALS")
        edge.sign_in(account.email, changed)


def test_what_an_admin_writes_comes_to_all_whom_it_is_for_once(arcana: ArcanaProcesses) -> None:
    post = Post(Path(arcana.environ["ARCANA_HOME"]) / "mail")
    with Edge(arcana.edge_url) as edge:
        admin = bearer(edge.sign_in(arcana.admin.email, arcana.admin.password).access)
        readers = [edge.new_account(name) for name in ("Grace Hopper", "Alan Turing")]
        wanted = {
            "user_ids": [reader.id for reader in readers],
            "subject": "We move",
            "template": "announcement",
            "context": {"body": "On Sunday."},
        }
        expect(edge.post("/jobs/bulk-email", wanted, headers=admin), 202)
        for reader in readers:
            mails = post.wait_for(reader.email, WELCOME, VERIFY, "We move")
            assert "On Sunday." in str(mails["We move"].get_body(("plain",)))
