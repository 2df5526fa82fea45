"""Records RPCs as their rules say, around the servicers.

It stands inside the interceptor of the tier, so the actor is known and errors are still the
AppErrors that were raised, whatever transport carries the call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import grpc
from google.protobuf.message import Message

from service_tier.auditing.rules import PACKAGE, RULES, AuditRule, When
from service_tier.domain.permissions import is_admin
from tier_runtime.audit import Act, AuditTrail, Fact, Outcome, outcome_of
from tier_runtime.context import rpc_context
from tier_runtime.errors import AppError
from tier_runtime.handlers import Registration, collect

# How an RPC ends that neither answers nor says why, and one whose caller has gone.
_UNTOLD = (Outcome.FAILED, "INTERNAL_ERROR")
_LEFT = (Outcome.FAILED, "CANCELLED")
_DONE = (Outcome.DONE, "")


def audited(registration: Registration, trail: AuditTrail) -> Registration:
    """Return the service with its RPCs recorded.

    Raises:
        KeyError: no rule has been made for one of them.
    """

    def add(server: grpc.Server) -> None:
        name = registration.service_full_name
        handlers = {
            method.rpartition("/")[2]: _recorded(method.removeprefix(f"/{PACKAGE}."), each, trail)
            for method, each in collect([registration]).items()
        }
        # As generated code does: by the generic way for servers that know no other.
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, handlers),))
        server.add_registered_method_handlers(name, handlers)

    return Registration(registration.service_full_name, add)


def _recorded(
    act: str, handler: grpc.RpcMethodHandler[Any, Any], trail: AuditTrail
) -> grpc.RpcMethodHandler[Any, Any]:
    rule = RULES[act]
    if rule.when is When.ELSEWHERE:
        return handler
    coding = (handler.request_deserializer, handler.response_serializer)
    recorder = _Recorder(act, rule, trail)
    if handler.unary_unary is not None:
        return grpc.unary_unary_rpc_method_handler(recorder.one(handler.unary_unary), *coding)
    if handler.stream_unary is not None:
        return grpc.stream_unary_rpc_method_handler(recorder.one(handler.stream_unary), *coding)
    if handler.unary_stream is not None:
        return grpc.unary_stream_rpc_method_handler(recorder.many(handler.unary_stream), *coding)
    raise TypeError(f"{act} streams both ways, which no RPC of this contract did so far.")


class _Recorder:
    """Records the calls of one RPC."""

    def __init__(self, act: str, rule: AuditRule, trail: AuditTrail) -> None:
        self._act = act
        self._rule = rule
        self._trail = trail

    def one(self, behaviour: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        """Return a handler with one answer, recorded when it has ended."""

        def answer(request: Any, context: grpc.ServicerContext) -> Any:
            ended, found = _UNTOLD, None
            try:
                found = behaviour(request, context)
                ended = _DONE
                return found
            except AppError as error:
                ended = (outcome_of(error), error.code)
                raise
            except grpc.RpcError:
                ended = _LEFT
                raise
            finally:
                self._record(request, found, context, ended)

        return answer

    def many(
        self, behaviour: Callable[[Any, Any], Iterator[Any]]
    ) -> Callable[[Any, Any], Iterator[Any]]:
        """Return a handler with a stream of answers, recorded before the first of them leaves."""

        def answers(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            ended, is_recorded = _UNTOLD, False
            try:
                for found in behaviour(request, context):
                    if not is_recorded:
                        is_recorded = True
                        self._record(request, None, context, _DONE)
                    yield found
                ended = _DONE
            except AppError as error:
                ended = (outcome_of(error), error.code)
                raise
            except (GeneratorExit, grpc.RpcError):
                ended = _LEFT
                raise
            finally:
                if not is_recorded:
                    self._record(request, None, context, ended)

        return answers

    def _record(
        self,
        request: Any,
        answer: Any,
        context: grpc.ServicerContext,
        ended: tuple[Outcome, str],
    ) -> None:
        call = rpc_context(context).call
        outcome, code = ended
        is_wanted = self._rule.when is When.ALWAYS or outcome is Outcome.DENIED
        if not is_wanted and not (self._rule.when is When.BY_ADMINS and is_admin(call.actor)):
            return
        target = {**_asked(request, self._rule.asked), **_answered(answer, self._rule.answered)}
        self._trail.record(
            Act(self._act, outcome, call.actor, call.request_id, code=code, target=target)
        )


def _asked(request: Any, names: tuple[str, ...]) -> Mapping[str, Fact]:
    # What comes as a stream is an iterator, of which nothing is left.
    if not isinstance(request, Message):
        return {}
    fields = request.DESCRIPTOR.fields_by_name
    return {
        name: _fact(request, name)
        for name in names
        if (request.HasField(name) if fields[name].has_presence else getattr(request, name))
    }


def _answered(answer: Any, paths: tuple[str, ...]) -> Mapping[str, Fact]:
    if not isinstance(answer, Message):
        return {}
    facts: dict[str, Fact] = {}
    for path in paths:
        *outer, name = path.split(".")
        message: Any = answer
        for step in outer:
            message = getattr(message, step)
        facts[path.replace(".", "_")] = _fact(message, name)
    return facts


def _fact(message: Message, name: str) -> Fact:
    """Return a field as it is told: of an enum its name, of a list its items."""
    field = message.DESCRIPTOR.fields_by_name[name]
    value = getattr(message, name)
    if field.enum_type is not None:
        known = field.enum_type.values_by_number.get(value)
        return known.name if value and known else value
    return value if isinstance(value, str | int) else [str(each) for each in value]
