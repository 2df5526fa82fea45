"""Files through the public gRPC edge: streams in both ways, for who is signed in."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import grpc
import pytest

from arcana.service.v1 import file_service_pb2 as pb
from arcana.service.v1.file_service_pb2_grpc import FileServiceStub
from tests.tier.controller.grpc_edge.edges import (
    SECONDS,
    Metadata,
    PublicEdge,
    error_of,
    public_edge,
)

REQUEST_SECONDS = 1.5
CONTENT = bytes(range(256)) * 4000
CHUNK = 64 * 1024


@pytest.fixture(scope="module")
def edge() -> Iterator[PublicEdge]:
    with public_edge(request_timeout_seconds=REQUEST_SECONDS, public_grpc_threads=4) as edge:
        yield edge


@pytest.fixture
def files(edge: PublicEdge) -> FileServiceStub:
    return FileServiceStub(edge.channel)


@pytest.fixture
def ada(edge: PublicEdge) -> Metadata:
    return edge.signed_in(f"{edge.tier.new_id()}@example.org")[1]


def sent(
    content: bytes = CONTENT, pause: Callable[[], object] = lambda: None
) -> Iterator[pb.UploadFileRequest]:
    yield pb.UploadFileRequest(start=pb.UploadFileStart(filename="photo.png"))
    for at in range(0, len(content), CHUNK):
        pause()
        yield pb.UploadFileRequest(chunk=content[at : at + CHUNK])
    yield pb.UploadFileRequest(end=pb.UploadFileEnd())


def failure(call: Callable[[], object]) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as raised:
        call()
    return raised.value.code(), error_of(raised.value).code


def test_a_file_comes_and_goes(edge: PublicEdge, files: FileServiceStub, ada: Metadata) -> None:
    made = files.UploadFile(sent(), metadata=ada, timeout=SECONDS).file
    assert edge.tier.files[made.id][1] == CONTENT
    wanted = pb.DownloadFileRequest(file_id=made.id, offset=5)
    answers = files.DownloadFile(wanted, metadata=ada, timeout=SECONDS)
    assert b"".join(answer.chunk for answer in answers) == CONTENT[5:]
    assert files.GetFile(pb.GetFileRequest(file_id=made.id), metadata=ada).file == made
    assert files.GetDownload(pb.GetDownloadRequest(file_id=made.id), metadata=ada).file == made
    assert list(files.ListFiles(pb.ListFilesRequest(), metadata=ada).files) == [made]
    files.DeleteFile(pb.DeleteFileRequest(file_id=made.id), metadata=ada)
    gone = failure(lambda: files.GetFile(pb.GetFileRequest(file_id=made.id), metadata=ada))
    assert gone == (grpc.StatusCode.NOT_FOUND, "FILE_NOT_FOUND")


def test_an_upload_may_take_longer_than_a_request(files: FileServiceStub, ada: Metadata) -> None:
    silence = threading.Event()
    slow = sent(pause=lambda: silence.wait(REQUEST_SECONDS / 10))
    made = files.UploadFile(slow, metadata=ada, timeout=SECONDS)
    assert made.file.size_bytes == len(CONTENT)


def test_a_stranger_may_do_nothing(files: FileServiceStub) -> None:
    refused = (grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED")
    assert failure(lambda: files.UploadFile(sent(), timeout=SECONDS)) == refused
    assert failure(lambda: files.ListFiles(pb.ListFilesRequest())) == refused
    wanted = pb.DownloadFileRequest(file_id="x")
    assert failure(lambda: list(files.DownloadFile(wanted))) == refused


def test_a_stream_without_its_end_is_no_upload(
    edge: PublicEdge, files: FileServiceStub, ada: Metadata
) -> None:
    before = len(edge.tier.files)
    cut = list(sent())[:-1]
    malformed = failure(lambda: files.UploadFile(iter(cut), metadata=ada, timeout=SECONDS))
    assert malformed == (grpc.StatusCode.INVALID_ARGUMENT, "MALFORMED_BODY")
    assert len(edge.tier.files) == before
