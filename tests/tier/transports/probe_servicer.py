"""The probe's servicer: it does what the plan in a request says, and tells what it saw."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import grpc

from tests.tier.transports.plans import InProcess
from tests.tier.transports.probe_contract import SERVICE, classes, message, service
from tier_runtime.call import current_call
from tier_runtime.clock import SystemClock
from tier_runtime.context import RpcContext
from tier_runtime.deadline import Deadline
from tier_runtime.errors import AppError, Kind
from tier_runtime.handlers import Registration
from tier_runtime.health import HealthBoard
from tier_runtime.tier import Tier

# A handler that waits for what never happens ends all the same.
WAIT_SECONDS = 8.0
# What a handler needs that looks neither at its caller nor at the time.
LONG_SECONDS = 3.0
_PAUSE = threading.Event()


class ProbeServicer:
    """Serves every method of the contract but `Missing`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sightings: dict[str, Counter[str]] = {}
        wait = message("Plan").DESCRIPTOR.fields_by_name["wait"].enum_type.values_by_name
        self._until_gone = wait["WAIT_UNTIL_GONE"].number
        self._until_late = wait["WAIT_UNTIL_LATE"].number
        self._long = wait["WAIT_LONG"].number

    def registration(self) -> Registration:
        """Return the service as the wiring of a tier takes it."""
        return Registration(SERVICE, self._add)

    def _add(self, server: grpc.Server) -> None:
        makers = {
            "unary_unary": grpc.unary_unary_rpc_method_handler,
            "unary_stream": grpc.unary_stream_rpc_method_handler,
            "stream_unary": grpc.stream_unary_rpc_method_handler,
            "stream_stream": grpc.stream_stream_rpc_method_handler,
        }
        behaviours = {
            "Answer": self.answer,
            "Plain": self.answer,
            "Find": self.find,
            "Replace": self.find,
            "Forward": lambda request, _context: request,
            "Down": self.down,
            "Up": self.up,
            "Both": self.both,
            "Recall": self.recall,
        }
        streams = ("unary", "stream")
        handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}
        for method in service().methods:
            if method.name not in behaviours:
                continue
            arity = f"{streams[method.client_streaming]}_{streams[method.server_streaming]}"
            request, response = classes(method)
            codec = (request.FromString, response.SerializeToString)
            handlers[method.name] = makers[arity](
                behaviours[method.name], *((None, None) if method.name == "Forward" else codec)
            )
        # The two calls that generated code makes.
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
        server.add_registered_method_handlers(SERVICE, handlers)

    def answer(self, request: Any, context: RpcContext) -> Any:
        plan = request.plan
        self._begin(plan, context)
        self._wait(plan, context)
        self._fail(plan)
        return self._answered(plan, context, request, 1)

    def find(self, request: Any, context: RpcContext) -> Any:
        return message("FindResponse")(request=request)

    def down(self, request: Any, context: RpcContext) -> Iterator[Any]:
        plan = request.plan
        self._begin(plan, context)
        for number in range(plan.answers):
            yield self._answered(plan, context, request, number + 1)
        self._wait(plan, context)
        self._fail(plan)

    def up(self, requests: Iterator[Any], context: RpcContext) -> Any:
        first, received = message("AnswerRequest")(), 0
        for request in requests:
            received += 1
            if received == 1:
                first = request
                self._begin(first.plan, context)
                # Before the others are read, so that an answer may come in their middle.
                self._wait(first.plan, context)
                self._fail(first.plan)
        return self._answered(first.plan, context, first, received)

    def both(self, requests: Iterator[Any], context: RpcContext) -> Iterator[Any]:
        for received, request in enumerate(requests, 1):
            self._begin(request.plan, context)
            self._wait(request.plan, context)
            self._fail(request.plan)
            yield self._answered(request.plan, context, request, received)

    def recall(self, request: Any, context: RpcContext) -> Any:
        with self._lock:
            counts = dict(self._sightings.get(request.note, {}))
        return message("RecallResponse")(**counts)

    def _begin(self, plan: Any, context: RpcContext) -> None:
        self._count(plan, "begun")
        if plan.note:
            context.add_callback(lambda: self._count(plan, "callbacks"))

    def _count(self, plan: Any, what: str) -> None:
        if plan.note:
            with self._lock:
                self._sightings.setdefault(plan.note, Counter())[what] += 1

    def _wait(self, plan: Any, context: RpcContext) -> None:
        if not plan.wait:
            return
        limit = Deadline.after(WAIT_SECONDS, SystemClock().monotonic)
        self._count(plan, "waiting")
        if plan.wait == self._until_gone:
            while context.is_active():
                limit.check()
                _PAUSE.wait(0.005)
            self._count(plan, "gone")
        if plan.wait == self._until_late:
            while context.deadline.remaining() > 0:
                limit.check()
                _PAUSE.wait(0.005)
            # gRPC's own deadline can be a hundredth of a second later than the one that was set.
            _PAUSE.wait(0.05)
        if plan.wait == self._long:
            _PAUSE.wait(LONG_SECONDS)
        self._count(plan, "ended")

    def _fail(self, plan: Any) -> None:
        if not plan.HasField("failure"):
            return
        failure = plan.failure
        if failure.kind == "crash":
            raise RuntimeError(failure.text)
        fields: dict[str, list[str]] = {}
        for error in failure.field_errors:
            fields.setdefault(error.field, []).append(error.text)
        after = failure.retry_after_seconds if failure.HasField("retry_after_seconds") else None
        raise AppError(
            Kind(failure.kind),
            failure.code,
            failure.text,
            field_errors=fields,
            retry_after=after,
            **failure.metadata,
        )

    def _answered(self, plan: Any, context: RpcContext, request: Any, received: int) -> Any:
        call = context.call
        answer = message("AnswerResponse")(
            seen={
                "subject": context.actor.subject,
                "roles": sorted(context.actor.roles),
                "session_id": context.actor.session_id,
                "request_id": context.request_id,
                "traceparent": call.traceparent,
                "seconds_left": context.time_remaining(),
                "is_current_call": current_call() is call,
            },
            payload=request.payload if request.HasField("payload") else None,
            padding="x" * plan.padding,
            received=received,
            process_id=os.getpid(),
        )
        return answer.SerializeToString() if plan.as_bytes else answer


def make_probe(_environ: Mapping[str, str], _in_process: InProcess) -> Tier:
    """Build a tier of the probe, one of whose neighbours is not well."""
    health = HealthBoard()
    health.set("store.database", serving=False)
    return Tier([ProbeServicer().registration()], health)
