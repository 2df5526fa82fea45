"""What the tests of the probe have in common: its four arities as one, and how an RPC ended."""

from __future__ import annotations

import secrets
from typing import Any

import grpc
import pytest

from tests.tier.transports.probe_contract import ProbeStub, message
from tests.tier.transports.wires import WIRES
from tier_runtime.errors import AppError

# One method of each arity, and one of those without an annotation.
UNARY, DOWN, UP, BOTH = "Answer", "Down", "Up", "Both"
ARITIES = (UNARY, DOWN, UP, BOTH)


def arities_of(parameter: str, *methods: str) -> pytest.MarkDecorator:
    """Run a test with each of the methods over each transport that can carry it."""
    # A REST hop cannot stream in both directions at the same time.
    pairs = [(wire, one) for wire in WIRES for one in methods if (wire, one) != ("http", BOTH)]
    return pytest.mark.parametrize(("wire", parameter), pairs, indirect=["wire"])


every_arity = arities_of("arity", *ARITIES)


def request(payload: Any = None, **plan: Any) -> Any:
    """Return a request with this plan."""
    return message("AnswerRequest")(plan=plan, payload=payload)


def new_note() -> str:
    """Return a note that no other test uses."""
    return secrets.token_hex(8)


def ask(stub: ProbeStub, arity: str, *requests: Any, **options: Any) -> list[Any]:
    """Send the requests, of which two arities take one only, and return all answers."""
    method = getattr(stub, arity)
    given = iter(requests) if arity in {UP, BOTH} else requests[0]
    answered = method(given, **options)
    return list(answered) if arity in {DOWN, BOTH} else [answered]


def ends(stub: ProbeStub, arity: str, *requests: Any, **options: Any) -> tuple[object, ...]:
    """Return how the RPC ended, as a value that can be compared between transports."""
    try:
        answers = ask(stub, arity, *requests, **options)
    except AppError as error:
        return of_app_error(error)
    except grpc.RpcError as error:
        return of_rpc_error(error)
    return ("OK", len(answers))


def of_app_error(error: AppError) -> tuple[object, ...]:
    """Return all that a caller of ours learns from an error."""
    return (
        error.kind.value,
        error.code,
        error.message,
        error.field_errors,
        error.retry_after,
        error.metadata,
    )


def of_rpc_error(error: Any) -> tuple[object, ...]:
    """Return all that a stranger learns from an error."""
    details = dict(error.trailing_metadata() or ()).get("grpc-status-details-bin")
    return (error.code(), error.details(), details)


def recall(stub: ProbeStub, note: str) -> Any:
    """Return what became of the calls with this note."""
    return stub.Recall(message("RecallRequest")(note=note))
