"""Messages that a caller sends line by line."""

from __future__ import annotations

import io
from typing import Any

import grpc
import pytest

from arcana.service.v1.user_service_pb2 import GetUserRequest
from tier_runtime.local_rpc import LocalRpcError
from tier_runtime.rest.bodies import Presence, RestContext, sent_messages
from tier_runtime.rest.codec import codec_of
from tier_runtime.wsgi_environ import TAKE_INPUT

LINES = b'{"user_id":"1"}\n{"user_id":"2"}\n'


def _read(environ: dict[str, Any]) -> tuple[list[str], LocalRpcError | None, RestContext]:
    """Return what was read, how it ended, and the context."""
    presence = Presence(environ)
    context = RestContext(is_caller_there=presence)
    read: list[str] = []
    try:
        for message in sent_messages(environ, codec_of(GetUserRequest), context, presence, 1000):
            assert isinstance(message, GetUserRequest)
            read.append(message.user_id)
    except LocalRpcError as error:
        return read, error, context
    return read, None, context


@pytest.mark.parametrize("text", [LINES, LINES.rstrip(), b"\n" + LINES, b""])
def test_each_line_of_a_body_of_known_length_is_a_message(text: bytes) -> None:
    read, error, _ = _read({"CONTENT_LENGTH": str(len(text)), "wsgi.input": io.BytesIO(text)})
    assert (read, error) == (["1", "2"] if text else [], None)


def test_a_body_of_unknown_length_is_read_as_it_comes() -> None:
    parts = iter([LINES[:5], LINES[5:], b""])
    environ = {
        "HTTP_TRANSFER_ENCODING": "chunked",
        TAKE_INPUT: lambda: next(parts),
        "wsgi.input": io.BytesIO(),
    }
    assert _read(environ)[:2] == (["1", "2"], None)


@pytest.mark.parametrize(
    "sent", [LINES, LINES.rstrip(), LINES[:-4], b""], ids=["lines", "no end", "half a line", "-"]
)
def test_a_body_that_ends_before_its_length_is_that_of_a_caller_that_has_gone(
    sent: bytes,
) -> None:
    length = str(len(LINES) + 100)
    read, error, context = _read({"CONTENT_LENGTH": length, "wsgi.input": io.BytesIO(sent)})
    assert len(read) < 3
    assert error is not None
    assert error.code() is grpc.StatusCode.CANCELLED
    assert not context.is_active()
