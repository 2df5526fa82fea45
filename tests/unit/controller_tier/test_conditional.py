from __future__ import annotations

import pytest

from tests.unit.controller_tier.edge import Edge, problem_of

BODY = {"name": "Ada King"}


@pytest.mark.parametrize("tag", ['"v1"', 'W/"v1"', '"x", "v1"', "*", '"x" ,W/"v1"'])
def test_a_version_that_the_client_has_is_not_sent_again(edge: Edge, tag: str) -> None:
    user, token = edge.signed_in()
    answer = edge.call("GET", f"users/{user.id}", token=token, headers={"If-None-Match": tag})
    assert (answer.status_code, answer.data) == (304, b"")
    assert answer.headers["ETag"] == '"v1"'
    assert answer.headers["Cache-Control"] == "private, no-cache"


@pytest.mark.parametrize("tag", ['"v2"', '"1"', '""'])
def test_another_version_is_sent(edge: Edge, tag: str) -> None:
    user, token = edge.signed_in()
    answer = edge.call("GET", f"users/{user.id}", token=token, headers={"If-None-Match": tag})
    assert (answer.status_code, answer.headers["ETag"]) == (200, '"v1"')


@pytest.mark.parametrize("tag", ['"v1"', '"v3", "v1"', "*", '"x", "v1", W/"v2"'])
def test_a_write_goes_on_when_a_tag_matches(edge: Edge, tag: str) -> None:
    user, token = edge.signed_in()
    answer = edge.call("PATCH", f"users/{user.id}", BODY, token=token, headers={"If-Match": tag})
    assert (answer.status_code, answer.headers["ETag"]) == (200, '"v2"')


@pytest.mark.parametrize(
    "tag", ['"v2"', 'W/"v1"', '"v0"', '"v01"', '"abc"', f'"v{2**63}"', '"v2", "v3"', '""']
)
def test_a_write_on_another_version_is_refused(edge: Edge, tag: str) -> None:
    user, token = edge.signed_in()
    answer = edge.call("PATCH", f"users/{user.id}", BODY, token=token, headers={"If-Match": tag})
    problem_of(answer, 412, "PRECONDITION_FAILED")
    assert edge.tier.accounts[user.id].user.version == 1


def test_one_tag_is_left_to_the_write_itself(edge: Edge) -> None:
    user, token = edge.signed_in()
    edge.call("PATCH", f"users/{user.id}", BODY, token=token, headers={"If-Match": '"v1"'})
    assert edge.tier.last("UpdateUser").request.expected_version == 1
    assert "GetUser" not in edge.tier.methods()


@pytest.mark.parametrize("header", ["If-Match", "If-None-Match"])
@pytest.mark.parametrize("tag", ["v1", '"v1', '"v1" "v2"', "W/*", "", '"a b"'])
def test_a_header_of_another_form_is_a_field_error(edge: Edge, header: str, tag: str) -> None:
    user, token = edge.signed_in()
    method, body = ("PATCH", BODY) if header == "If-Match" else ("GET", None)
    answer = edge.call(method, f"users/{user.id}", body, token=token, headers={header: tag})
    assert set(problem_of(answer, 400, "VALIDATION_FAILED")["errors"]) == {header}


def test_a_list_may_come_in_several_lines(edge: Edge) -> None:
    user, token = edge.signed_in()
    answer = edge.app.test_client().patch(
        f"/api/v1/users/{user.id}",
        json=BODY,
        headers=[("Authorization", f"Bearer {token}"), ("If-Match", '"x"'), ("If-Match", '"v1"')],
    )
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "", {"name": "A", "email": "a@example.org"}),
        ("PATCH", "", BODY),
        ("PATCH", "/status", {"status": "active"}),
        ("PUT", "/roles", {"roles": ["user"]}),
        ("DELETE", "", None),
        ("PUT", "/profile", {}),
    ],
)
def test_every_versioned_write_can_be_made_to_name_its_version(
    method: str, path: str, body: dict[str, object] | None
) -> None:
    edge = Edge.make(require_if_match=True)
    edge.signed_in("admin", email="root2@example.org")
    user, token = edge.signed_in("admin")
    where = f"users/{user.id}{path}"
    problem_of(edge.call(method, where, body, token=token), 428, "PRECONDITION_REQUIRED")
    refused = edge.call(method, where, body, token=token, headers={"If-Match": '"v7"'})
    problem_of(refused, 412, "PRECONDITION_FAILED")
    assert edge.call(method, where, body, token=token, headers={"If-Match": "*"}).status_code < 300
