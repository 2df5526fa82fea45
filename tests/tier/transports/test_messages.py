from __future__ import annotations

from typing import Any

import pytest

from tests.tier.transports.asking import ARITIES, DOWN, UNARY, UP, arities_of, ask, ends, request
from tests.tier.transports.conftest import MAX_MESSAGE_BYTES, Connect
from tests.tier.transports.payloads import TEXT, fields, samples
from tests.tier.transports.probe_contract import ProbeStub, message
from tests.tier.transports.wires import SOCKETS, Wire
from tier_runtime.errors import Kind

# Annotated and not, of every arity.
every_way = arities_of("method", *ARITIES, "Plain")


def everything(name: str) -> Any:
    return message("Everything")(**fields(name))


@every_way
@pytest.mark.parametrize("name", samples())
def test_a_message_arrives_there_and_back_as_it_was(
    probe: ProbeStub, method: str, name: str
) -> None:
    sent = everything(name)
    (answer,) = ask(probe, method, request(sent, answers=1))
    assert answer.payload == sent
    # Equal messages can differ in fields that are present at their zero.
    assert {field.name for field, _ in answer.payload.ListFields()} == set(fields(name))


@arities_of("method", *ARITIES, "Plain", "Forward")
def test_an_absent_message_is_not_an_empty_one(probe: ProbeStub, method: str) -> None:
    (absent,) = ask(probe, method, request(answers=1))
    (empty,) = ask(probe, method, request({}, answers=1))
    assert (absent.HasField("payload"), empty.HasField("payload")) == (False, True)


@pytest.mark.parametrize("method", ["Find", "Replace"])
@pytest.mark.parametrize(
    "given",
    [
        {"thing_id": "1"},
        {"thing_id": ""},
        {"thing_id": TEXT},
        {"thing_id": "a/b:c?d=e&f#g%25"},
        {"thing_id": ".."},
        {"thing_id": "1", "name": "", "version": 0},
        {"thing_id": "1", "name": TEXT, "version": -(2**63), "sort": 2, "tags": ["a", "", "b,c"]},
        {"thing_id": "1", "token": bytes(range(256)), "sort": 99},
        {
            "thing_id": "1",
            "filter": {
                "sort": 1,
                "text": TEXT,
                "after_time": {"seconds": 1_700_000_000, "nanos": 120_000},
                "window": {"seconds": -1, "nanos": -5},
                "exact": True,
                "numbers": [1, 2**63 - 1, 0],
                "sorts": [1, 99, 0],
            },
            "page": {"size": 20, "inner": {"inner": {"name": "deep"}}},
        },
    ],
    ids=["id", "empty", "unicode", "reserved", "dots", "zeros", "scalars", "bytes", "nested"],
)
def test_fields_of_paths_and_query_strings_arrive_as_they_were(
    probe: ProbeStub, method: str, given: dict[str, Any]
) -> None:
    sent = message("FindRequest")(**given)
    assert getattr(probe, method)(sent).request == sent


@pytest.mark.parametrize(
    ("method", "name"),
    [
        *((method, name) for method in ("Answer", "Forward") for name in samples()),
        *((method, "unicode") for method in ("Plain", "Down", "Up")),
    ],
)
def test_a_stub_without_codecs_sends_and_gets_serialized_messages(
    raw_probe: ProbeStub, method: str, name: str
) -> None:
    sent = request(everything(name), answers=1)
    (answer,) = ask(raw_probe, method, sent.SerializeToString())
    assert isinstance(answer, bytes)
    kind = "AnswerRequest" if method == "Forward" else "AnswerResponse"
    assert message(kind).FromString(answer).payload == everything(name)


@every_way
@pytest.mark.parametrize("raw", [False, True], ids=["stub", "raw stub"])
def test_a_handler_may_return_the_serialized_answer(
    connect: Connect, method: str, raw: bool
) -> None:
    asked = request(everything("unicode"), as_bytes=True, answers=1)
    (answer,) = ask(connect(raw=raw), method, asked.SerializeToString() if raw else asked)
    read = message("AnswerResponse").FromString(answer) if raw else answer
    assert read.payload == everything("unicode")


def test_a_handler_without_codecs_passes_messages_on(probe: ProbeStub) -> None:
    sent = request(everything("nested"), note="")
    assert probe.Forward(sent) == sent


def fitting(room: int) -> Any:
    """Return a request whose serialized size is exactly this."""
    asked = request({"data": b""})
    while (missing := room - asked.ByteSize()) > 0:
        length = len(asked.payload.data)
        # The lengths in front of the bytes grow with them.
        asked.payload.data = b"x" * (length + max(missing - 8, 1))
    assert asked.ByteSize() == room
    return asked


@pytest.mark.parametrize("method", ["Forward", "Answer"])
def test_a_message_below_the_limit_passes(probe: ProbeStub, method: str) -> None:
    # An answer is a little longer than what it repeats.
    asked = fitting(MAX_MESSAGE_BYTES - (1024 if method == "Answer" else 0))
    assert getattr(probe, method)(asked).payload == asked.payload


@pytest.mark.parametrize("wire", SOCKETS, indirect=True)
@pytest.mark.parametrize("arity", [UNARY, UP])
@pytest.mark.parametrize("at", ["caller", "server"])
def test_a_request_over_the_limit_is_refused_as_overload(
    connect: Connect, wire: Wire, arity: str, at: str
) -> None:
    stub = connect(max_message_bytes=MAX_MESSAGE_BYTES * (1 if at == "caller" else 8))
    ended = ends(stub, arity, fitting(MAX_MESSAGE_BYTES * 2))
    assert ended[:2] == (Kind.UNAVAILABLE, "SERVICE_UNAVAILABLE")
    assert ask(stub, arity, request({"text": "still well"}))[0].payload.text == "still well"


@pytest.mark.parametrize("wire", SOCKETS, indirect=True)
@pytest.mark.parametrize("arity", [UNARY, DOWN])
@pytest.mark.parametrize("at", ["caller", "server"])
def test_an_answer_over_the_limit_is_refused_as_overload(
    connect: Connect, wire: Wire, arity: str, at: str
) -> None:
    limits = {"caller": 32 * 1024, "server": MAX_MESSAGE_BYTES * 8}
    stub = connect(max_message_bytes=limits[at])
    padding = {"caller": MAX_MESSAGE_BYTES // 2, "server": MAX_MESSAGE_BYTES * 2}
    ended = ends(stub, arity, request(answers=1, padding=padding[at]))
    assert ended[:2] == (Kind.UNAVAILABLE, "SERVICE_UNAVAILABLE")
    assert ask(stub, arity, request({"text": "still well"}, answers=1))[0].padding == ""
