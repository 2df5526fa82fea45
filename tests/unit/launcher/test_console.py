from __future__ import annotations

import io

from launcher.console import Console


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class ClosedPipe(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


def test_a_line_carries_the_name_of_its_tier() -> None:
    stream = io.StringIO()

    Console(stream).line("service", '{"event": "x"}')

    assert stream.getvalue() == 'service    | {"event": "x"}\n'


def test_names_are_coloured_on_a_terminal_only() -> None:
    terminal = Terminal()

    Console(terminal).say("Up.")

    assert terminal.getvalue().startswith("\033[")
    assert terminal.getvalue().endswith("\033[0mUp.\n")


def test_a_reader_that_has_gone_is_no_reason_to_fail() -> None:
    Console(ClosedPipe()).say("Stopped.")
