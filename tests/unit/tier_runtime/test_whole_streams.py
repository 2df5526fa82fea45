"""Streams that say themselves where they end."""

from __future__ import annotations

import pytest

from arcana.service.v1.file_service_pb2 import UploadFileEnd, UploadFileRequest, UploadFileStart
from tier_runtime.errors import AppError, Kind
from tier_runtime.whole_streams import in_order

START = UploadFileRequest(start=UploadFileStart(filename="a.png"))
CHUNK = UploadFileRequest(chunk=b"x")
END = UploadFileRequest(end=UploadFileEnd())


@pytest.mark.parametrize("stream", [[START, END], [START, CHUNK, END], [START, CHUNK, CHUNK, END]])
def test_a_stream_that_comes_to_its_end_passes(stream: list[UploadFileRequest]) -> None:
    assert list(in_order(stream)) == stream


def test_what_comes_after_the_end_is_not_read() -> None:
    rest = iter([START, END, CHUNK])
    assert list(in_order(rest)) == [START, END]
    assert next(rest) is CHUNK


@pytest.mark.parametrize(
    "stream",
    [
        [],
        [START],
        [START, CHUNK],
        [CHUNK, END],
        [END],
        [START, START, END],
        [UploadFileRequest()],
        [START, UploadFileRequest(chunk=b""), END],
    ],
)
def test_a_stream_in_another_order_or_without_its_end_is_malformed(
    stream: list[UploadFileRequest],
) -> None:
    with pytest.raises(AppError) as caught:
        list(in_order(stream))
    assert (caught.value.kind, caught.value.code) == (Kind.INVALID, "MALFORMED_BODY")
