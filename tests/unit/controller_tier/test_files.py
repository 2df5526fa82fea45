"""The rows below /files, over the fake service tier."""

from __future__ import annotations

import hashlib
import io
import threading
from typing import Any
from urllib.parse import urlsplit

import pytest
from werkzeug.http import parse_options_header

from arcana.service.v1.file_pb2 import File
from controller_tier.schemas.files import MAX_FILE_BYTES
from tests.fakes.service.files import CHUNK
from tests.unit.controller_tier.edge import Answer, Edge, problem_of
from tier_runtime.errors import AppError, Kind

CONTENT = bytes(range(256)) * 20
MISSING = "019aa000-0000-7000-8000-00000000ffff"
DOWN = AppError(Kind.UNAVAILABLE, "SERVICE_UNAVAILABLE", "Down.")


@pytest.fixture
def edge() -> Edge:
    return Edge.make()


def upload(
    edge: Edge, token: str, content: bytes = CONTENT, filename: str = "photo.png", **headers: str
) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    # By hand: werkzeug's own client puts what is large into a file that it leaves open.
    head = f'--x\r\nContent-Disposition: form-data; name="file"; filename="{filename}"\r\n\r\n'
    named["Content-Type"] = "multipart/form-data; boundary=x"
    body = head.encode() + content + b"\r\n--x--\r\n"
    return edge.call("POST", "files", token=token, headers=named, data=body)


def uploaded(edge: Edge, token: str, content: bytes = CONTENT) -> File:
    answer = upload(edge, token, content)
    assert answer.status_code == 201, answer.data
    return edge.tier.files[answer.json["id"]][0]


def link_to(edge: Edge, token: str, file: File) -> str:
    """Return path and query of a link to a file's content."""
    url = edge.call("GET", f"files/{file.id}/download", token=token).json["download_url"]
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}"


def test_an_upload_answers_with_the_file_and_where_it_is(edge: Edge) -> None:
    user, token = edge.signed_in()
    answer = upload(edge, token)
    file, content = edge.tier.files[answer.json["id"]]
    assert content == CONTENT
    assert (answer.status_code, answer.headers["ETag"]) == (201, '"v1"')
    assert answer.headers["Location"] == f"/api/v1/files/{file.id}"
    assert answer.json == {
        "id": file.id,
        "filename": "photo.png",
        "content_type": "image/png",
        "size": len(CONTENT),
        "sha256": hashlib.sha256(CONTENT).hexdigest(),
        "url": f"/api/v1/files/{file.id}/download",
        "uploaded_by": user.id,
        "created_at": answer.json["created_at"],
    }


def test_a_repeated_key_replays_the_first_answer(edge: Edge) -> None:
    _, token = edge.signed_in()
    first = upload(edge, token, Idempotency_Key="k")
    again = upload(edge, token, Idempotency_Key="k")
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.data == again.data
    assert again.headers["Idempotent-Replay"] == "true"
    problem_of(upload(edge, token, Idempotency_Key="\x7f"), 400, "VALIDATION_FAILED")


def test_only_who_is_signed_in_may_upload(edge: Edge) -> None:
    problem_of(upload(edge, ""), 401, "UNAUTHENTICATED")
    assert not edge.tier.files


def test_what_is_no_form_is_refused(edge: Edge) -> None:
    _, token = edge.signed_in()
    problem_of(edge.call("POST", "files", {}, token=token), 415, "UNSUPPORTED_MEDIA_TYPE")
    problem = problem_of(
        edge.call("POST", "files", token=token, data={"photo": (io.BytesIO(b"x"), "a.png")}),
        400,
        "VALIDATION_FAILED",
    )
    assert problem["errors"] == {"photo": ["Unknown field."]}


def test_a_file_of_one_byte_too_many_is_refused(edge: Edge) -> None:
    _, token = edge.signed_in()
    problem_of(upload(edge, token, bytes(MAX_FILE_BYTES + 1)), 413, "BODY_TOO_LARGE")
    assert not edge.tier.files


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (AppError(Kind.INVALID, "UNSUPPORTED_MEDIA_TYPE", "Not this one."), 415),
        (AppError(Kind.INVALID, "BODY_TOO_LARGE", "Too large."), 413),
        (AppError(Kind.CONFLICT, "QUOTA_EXCEEDED", "No room."), 409),
        (DOWN, 503),
    ],
)
def test_what_the_service_tier_refuses_is_a_problem(
    edge: Edge, error: AppError, status: int
) -> None:
    _, token = edge.signed_in()
    edge.tier.failures["UploadFile"] = error
    problem_of(upload(edge, token, bytes(1 << 20)), status, error.code)


def test_faults_are_told_by_the_name_of_the_form_s_field(edge: Edge) -> None:
    _, token = edge.signed_in()
    edge.tier.failures["UploadFile"] = AppError(
        Kind.INVALID, "VALIDATION_FAILED", "Bad.", field_errors={"filename": ["Too long."]}
    )
    problem = problem_of(upload(edge, token), 400, "VALIDATION_FAILED")
    assert problem["errors"] == {"file": ["Too long."]}


def test_uploads_have_more_time_than_other_requests(edge: Edge) -> None:
    _, token = edge.signed_in()
    upload(edge, token)
    call = edge.tier.last("UploadFile").call
    assert call is not None
    assert 290 < call.deadline.remaining() <= 300


def test_as_many_transfers_as_there_may_be_leave_the_next_one_for_later() -> None:
    edge = Edge.make(web_max_transfers=1)
    _, token = edge.signed_in()
    inner: list[Answer] = []

    def upload_another(method: str) -> None:
        if method == "UploadFile":
            # A thread of its own: a request within a request is nothing that Flask knows.
            other = threading.Thread(target=lambda: inner.append(upload(edge, token)))
            other.start()
            other.join(5)

    edge.tier.before = upload_another
    assert upload(edge, token).status_code == 201
    problem_of(inner[0], 503, "SERVICE_UNAVAILABLE")
    # Each gives its place back.
    edge.tier.before = lambda method: None
    file = uploaded(edge, token)
    link = link_to(edge, token, file)
    for _ in range(3):
        assert edge.call("GET", link).data == CONTENT


def test_a_file_is_shown_with_its_tag(edge: Edge) -> None:
    _, token = edge.signed_in()
    file = uploaded(edge, token)
    answer = edge.call("GET", f"files/{file.id}", token=token)
    assert (answer.status_code, answer.json["id"]) == (200, file.id)
    tag = {"If-None-Match": answer.headers["ETag"]}
    assert edge.call("GET", f"files/{file.id}", token=token, headers=tag).status_code == 304
    problem_of(edge.call("GET", f"files/{MISSING}", token=token), 404, "FILE_NOT_FOUND")
    problem_of(edge.call("GET", "files/nothing", token=token), 400, "VALIDATION_FAILED")


def test_a_list_has_pages_and_a_direction(edge: Edge) -> None:
    _, token = edge.signed_in()
    ids = [uploaded(edge, token).id for _ in range(3)]
    first = edge.call("GET", "files?size=2&order=desc", token=token).json
    assert [file["id"] for file in first["data"]] == ids[:0:-1]
    assert (first["total"], first["has_next"]) == (3, True)
    cursor = first["next_cursor"]
    rest = edge.call("GET", f"files?size=2&order=desc&cursor={cursor}", token=token).json
    assert [file["id"] for file in rest["data"]] == ids[:1]
    problem_of(edge.call("GET", "files?sort=size", token=token), 400, "VALIDATION_FAILED")


def test_a_link_works_without_a_token_until_it_expires(edge: Edge) -> None:
    _, token = edge.signed_in()
    file = uploaded(edge, token)
    found = edge.call("GET", f"files/{file.id}/download", token=token).json
    assert found["expires_in"] == 300
    assert found["download_url"].startswith(f"http://localhost/api/v1/files/{file.id}/content?")
    link = link_to(edge, token, file)
    answer = edge.call("GET", link)
    assert (answer.status_code, answer.data) == (200, CONTENT)
    assert answer.headers["Content-Type"] == "image/png"
    assert answer.headers["Content-Length"] == str(len(CONTENT))
    assert answer.headers["Content-Disposition"] == "attachment; filename=photo.png"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.headers["ETag"] == f'"{file.sha256.hex()}"'
    edge.clock.advance(301)
    problem_of(edge.call("GET", link), 403, "FORBIDDEN")


def test_a_link_of_an_object_store_is_handed_on(edge: Edge) -> None:
    _, token = edge.signed_in()
    file = uploaded(edge, token)
    edge.tier.download_url = "https://bucket.example/x?signature=y"
    found = edge.call("GET", f"files/{file.id}/download", token=token).json
    assert found["download_url"] == edge.tier.download_url


def test_an_admin_s_link_to_another_s_file_works(edge: Edge) -> None:
    _, token = edge.signed_in()
    _, admin = edge.signed_in("admin", email="root@example.org")
    file = uploaded(edge, token)
    assert edge.call("GET", link_to(edge, admin, file)).data == CONTENT


def test_a_link_of_nobody_is_refused(edge: Edge) -> None:
    _, token = edge.signed_in()
    file, other = uploaded(edge, token), uploaded(edge, token)
    link = link_to(edge, token, file)
    problem_of(edge.call("GET", link.replace(file.id, other.id)), 403, "FORBIDDEN")
    problem_of(edge.call("GET", f"files/{file.id}/content"), 400, "VALIDATION_FAILED")
    problem_of(edge.call("GET", f"files/{file.id}/content?token=a~"), 400, "VALIDATION_FAILED")
    del edge.tier.files[file.id]
    problem_of(edge.call("GET", link), 404, "FILE_NOT_FOUND")


def test_names_that_are_not_ascii_are_told_as_rfc_8187_has_it(edge: Edge) -> None:
    _, token = edge.signed_in()
    answer = upload(edge, token, filename="résumé 日本.png")
    file = edge.tier.files[answer.json["id"]][0]
    disposition = edge.call("GET", link_to(edge, token, file)).headers["Content-Disposition"]
    assert disposition.startswith("attachment; filename")
    assert "UTF-8''r%C3%A9sum%C3%A9%20%E6%97%A5%E6%9C%AC.png" in disposition


@pytest.mark.parametrize(
    ("filename", "simple"),
    [
        ("résumé €.png", "resume _.png"),
        ("日本.png", "__.png"),
        # Wide dots, slashes and quotes.
        ("\uff0e\uff0e\uff0fx\uff3c\uff02y\uff02.png", "___x__y_.png"),
    ],
)
def test_the_name_for_those_who_read_only_ascii_is_none_of_a_path(
    edge: Edge, filename: str, simple: str
) -> None:
    _, token = edge.signed_in()
    file = edge.tier.files[upload(edge, token, filename=filename).json["id"]][0]
    answer = edge.call("GET", link_to(edge, token, file))
    _, named = parse_options_header(answer.headers["Content-Disposition"].partition("filename*")[0])
    assert named["filename"] == simple


SIZE = len(CONTENT)


@pytest.mark.parametrize(
    ("wanted", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-99", 0, 100),
        ("bytes=100-", 100, SIZE),
        ("bytes=-100", SIZE - 100, SIZE),
        (f"bytes={SIZE - 1}-", SIZE - 1, SIZE),
        (f"bytes=1-{SIZE + 5}", 1, SIZE),
        (f"bytes=-{SIZE + 5}", 0, SIZE),
        (f"bytes={CHUNK - 1}-{CHUNK}", CHUNK - 1, CHUNK + 1),
    ],
)
def test_a_range_is_answered_by_that_part(edge: Edge, wanted: str, start: int, stop: int) -> None:
    _, token = edge.signed_in()
    link = link_to(edge, token, uploaded(edge, token))
    answer = edge.call("GET", link, headers={"Range": wanted})
    assert (answer.status_code, answer.data) == (206, CONTENT[start:stop])
    assert answer.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{SIZE}"
    assert answer.headers["Content-Length"] == str(stop - start)


@pytest.mark.parametrize("wanted", ["bytes=0-1,5-6", "items=0-1", "bytes=x", "bytes=5-1", "bytes="])
def test_what_is_no_single_range_is_answered_by_the_whole(edge: Edge, wanted: str) -> None:
    _, token = edge.signed_in()
    link = link_to(edge, token, uploaded(edge, token))
    answer = edge.call("GET", link, headers={"Range": wanted})
    assert (answer.status_code, answer.data) == (200, CONTENT)
    assert "Content-Range" not in answer.headers


def test_a_range_behind_the_end_cannot_be_satisfied(edge: Edge) -> None:
    _, token = edge.signed_in()
    link = link_to(edge, token, uploaded(edge, token))
    answer = edge.call("GET", link, headers={"Range": f"bytes={SIZE}-"})
    problem_of(answer, 416, "RANGE_NOT_SATISFIABLE")
    assert answer.headers["Content-Range"] == f"bytes */{SIZE}"


def test_if_range_gives_the_part_only_of_the_same_content(edge: Edge) -> None:
    _, token = edge.signed_in()
    file = uploaded(edge, token)
    link = link_to(edge, token, file)

    def status(condition: str) -> int:
        headers = {"Range": "bytes=0-1", "If-Range": condition}
        return edge.call("GET", link, headers=headers).status_code

    assert status(f'"{file.sha256.hex()}"') == 206
    assert status(f'W/"{file.sha256.hex()}"') == 200
    assert status('"other"') == 200
    assert status("Sat, 21 Nov 2026 04:00:00 GMT") == 200


def test_a_client_that_has_the_content_gets_304(edge: Edge) -> None:
    _, token = edge.signed_in()
    link = link_to(edge, token, uploaded(edge, token))
    tag = edge.call("GET", link).headers["ETag"]
    answer = edge.call("GET", link, headers={"If-None-Match": tag})
    assert (answer.status_code, answer.data, answer.headers["ETag"]) == (304, b"", tag)


def test_head_tells_what_get_would_and_reads_nothing(edge: Edge) -> None:
    _, token = edge.signed_in()
    link = link_to(edge, token, uploaded(edge, token))
    answer = edge.call("HEAD", link)
    assert (answer.status_code, answer.data) == (200, b"")
    assert answer.headers["Content-Length"] == str(SIZE)
    for wanted in ("bytes=0-9", f"bytes={SIZE}-"):
        # Ranges are of GET only.
        ranged = edge.call("HEAD", link, headers={"Range": wanted})
        assert (ranged.status_code, ranged.headers["Content-Length"]) == (200, str(SIZE))
    assert "DownloadFile" not in edge.tier.methods()


def test_a_download_that_fails_at_once_is_a_problem(edge: Edge) -> None:
    _, token = edge.signed_in()
    link = link_to(edge, token, uploaded(edge, token))
    edge.tier.failures["DownloadFile"] = DOWN
    problem_of(edge.call("GET", link), 503, "SERVICE_UNAVAILABLE")


@pytest.mark.parametrize("ends", [False, True])
def test_a_download_that_fails_midway_is_broken_off(edge: Edge, ends: bool) -> None:
    _, token = edge.signed_in()
    file = uploaded(edge, token)
    link = link_to(edge, token, file)
    calls: list[str] = []

    def fail(method: str) -> None:
        calls.append(method)
        if calls.count("DownloadFile.chunk") == 3:
            raise DOWN

    def shortened(method: str) -> None:
        if method == "DownloadFile":
            edge.tier.files[file.id] = (file, CONTENT[: 2 * CHUNK])

    edge.tier.before = shortened if ends else fail
    with pytest.raises(ConnectionResetError):
        edge.call("GET", link)
    # Its place is free again.
    edge.tier.before = lambda method: None
    edge.tier.files[file.id] = (file, CONTENT)
    assert edge.call("GET", link).data == CONTENT


def test_a_deleted_file_is_gone(edge: Edge) -> None:
    _, token = edge.signed_in()
    file = uploaded(edge, token)

    def delete(**headers: str) -> Any:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return edge.call("DELETE", f"files/{file.id}", token=token, headers=named)

    problem_of(delete(If_Match='"v2"'), 412, "PRECONDITION_FAILED")
    assert delete(If_Match='"v1"').status_code == 204
    problem_of(delete(), 404, "FILE_NOT_FOUND")


def test_a_deletion_may_have_to_name_the_version() -> None:
    edge = Edge.make(require_if_match=True)
    _, token = edge.signed_in()
    file = uploaded(edge, token)
    path = f"files/{file.id}"
    problem_of(edge.call("DELETE", path, token=token), 428, "PRECONDITION_REQUIRED")
