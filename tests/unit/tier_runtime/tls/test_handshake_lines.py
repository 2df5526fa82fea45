"""What is found in the standard error of a process, however it comes in pieces."""

from __future__ import annotations

import pytest

from tier_runtime.tls.handshake_lines import (
    LONGEST_LINE_BYTES,
    HandshakeLines,
    RefusedHandshake,
)

# As grpcio 1.85 writes them.
_PREFIX = b"I1201 01:27:48.146314   24084 ssl_transport_security.cc:2563] "
_WORDS = b"Handshake failed with error SSL_ERROR_SSL: error:%s:SSL routines:OPENSSL_internal:%s\n"


def line(said: bytes, number: bytes = b"1000007d") -> bytes:
    return _PREFIX + _WORDS % (number, said)


UNKNOWN_AUTHORITY = line(b"CERTIFICATE_VERIFY_FAILED: unable to get local issuer certificate")
NO_CERTIFICATE = line(
    b"PEER_DID_NOT_RETURN_A_CERTIFICATE: Invalid certificate verification context"
)


class Read:
    """Lines that note what they are asked to do."""

    def __init__(self) -> None:
        self.rest = b""
        self.refused: list[RefusedHandshake] = []
        self.lines = HandshakeLines(self._add, self.refused.append)

    def _add(self, data: bytes) -> None:
        assert data, "nothing was handed on"
        self.rest += data

    @property
    def errors(self) -> list[str]:
        return [each.error for each in self.refused]


@pytest.fixture
def read() -> Read:
    return Read()


def test_refusals_are_taken_out_and_all_else_stays_in_its_order(read: Read) -> None:
    read.lines.feed(b"one\n" + UNKNOWN_AUTHORITY + b"two\n\n" + NO_CERTIFICATE + b"three\n")
    assert read.rest == b"one\ntwo\n\nthree\n"
    assert read.errors == ["CERTIFICATE_VERIFY_FAILED", "PEER_DID_NOT_RETURN_A_CERTIFICATE"]
    assert read.refused[0].detail.endswith("unable to get local issuer certificate")
    assert read.refused[1].detail.endswith(":PEER_DID_NOT_RETURN_A_CERTIFICATE")


def test_a_line_that_comes_byte_by_byte_is_found(read: Read) -> None:
    for byte in b"\xff\x00\n" + UNKNOWN_AUTHORITY + b"end\n":
        read.lines.feed(bytes([byte]))
    assert read.rest == b"\xff\x00\nend\n"
    assert read.errors == ["CERTIFICATE_VERIFY_FAILED"]


def test_a_beginning_is_held_back_only_until_it_is_asked_for(read: Read) -> None:
    read.lines.feed(b"Password: ")
    assert read.lines.is_holding
    assert read.rest == b""
    read.lines.hold_no_longer()
    assert read.rest == b"Password: "
    # The core's line comes in between.
    read.lines.feed(UNKNOWN_AUTHORITY + b"rest of it\n")
    read.lines.hold_no_longer()
    assert read.rest == b"Password: rest of it\n"
    assert read.errors == ["CERTIFICATE_VERIFY_FAILED"]


def test_half_a_line_of_another_thread_before_it_is_handed_on(read: Read) -> None:
    read.lines.feed(b"half " + UNKNOWN_AUTHORITY + b"a line\n")
    assert read.rest == b"half a line\n"
    assert read.errors == ["CERTIFICATE_VERIFY_FAILED"]


def test_a_line_without_an_end_is_not_gathered_for_ever(read: Read) -> None:
    piece = b"x" * 1000
    for number in range(1, 101):
        read.lines.feed(piece)
        assert number * 1000 - len(read.rest) <= LONGEST_LINE_BYTES
    read.lines.feed(b"\n" + UNKNOWN_AUTHORITY)
    assert read.rest == piece * 100 + b"\n"
    assert len(read.refused) == 1


@pytest.mark.parametrize(
    "other",
    [
        line(b"TLSV1_ALERT_UNKNOWN_CA: Invalid certificate verification context"),
        line(b"SSLV3_ALERT_BAD_CERTIFICATE"),
        line(b"BAD_PACKET_LENGTH: Invalid certificate verification context"),
        UNKNOWN_AUTHORITY.replace(b"Handshake failed", b"Handshake done"),
        UNKNOWN_AUTHORITY.replace(b"ssl_transport_security.cc", b"other.cc"),
        b"Handshake failed with error SSL_ERROR_SSL: of somebody else\n",
    ],
)
def test_a_peer_that_refuses_us_and_words_of_others_are_left_alone(
    read: Read, other: bytes
) -> None:
    read.lines.feed(other)
    assert read.rest == other
    assert not read.refused


def test_what_the_core_says_is_cleaned_and_bounded(read: Read) -> None:
    read.lines.feed(line(b'\x1b[31m "\xc3\xa9\r' + b"long " * 500))
    (refused,) = read.refused
    assert refused.error == "UNKNOWN"
    assert len(refused.detail) <= 200
    assert refused.detail.isascii()
    assert refused.detail.isprintable()
    assert '"' not in refused.detail
