from __future__ import annotations

import errno
import io

import pytest

from launcher.console import Console


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Gone(io.StringIO):
    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def write(self, text: str) -> int:
        raise OSError(self.number, "gone")


def test_a_line_carries_the_name_of_its_tier() -> None:
    stream = io.StringIO()

    Console(stream).line("service", '{"event": "x"}')

    assert stream.getvalue() == 'service     | {"event": "x"}\n'


def test_names_are_coloured_on_a_terminal_only() -> None:
    terminal = Terminal()

    Console(terminal).say("Up.")

    assert terminal.getvalue().startswith("\033[")
    assert terminal.getvalue().endswith("\033[0mUp.\n")


@pytest.mark.parametrize("number", [errno.EPIPE, errno.EIO])
def test_a_reader_that_has_gone_is_no_reason_to_fail(number: int) -> None:
    Console(Gone(number)).say("Stopped.")
