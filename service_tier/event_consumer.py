"""Takes events from the repository tier and does what they call for, in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from google.protobuf.duration_pb2 import Duration

from arcana.common.v1.domain_event_pb2 import DomainEvent
from arcana.repository.v1 import event_repository_pb2 as pb
from arcana.repository.v1.job_repository_pb2 import EnqueueJobsRequest, NewJob
from service_tier.repository import Repository
from tier_runtime.call import Actor, Call, call_scope
from tier_runtime.deadline import Deadline
from tier_runtime.errors import AppError, Kind
from tier_runtime.logs import get_logger
from tier_runtime.tracing.spans import NO_SPAN, NO_TRACING, Carried, Tracing, WorkSpan

GROUP = "service"
# How many events are in hand at a time, and for how long before another process gets them.
MAX_EVENTS = 200
LEASE_SECONDS = 20
# A stream is begun anew after so long.
STREAM_SECONDS = 60.0
# What the reaction to one event may take, and so long is waited after a failure or an empty stream.
# While what a type of events needs is away, the reaction is tried once in a pause, and the others
# are not kept in hand until their leases are over.
REACTION_SECONDS = 5.0
PAUSE_SECONDS = 0.5
STOP_SECONDS = 10.0
MAX_JOBS = 1000
MAX_ERROR_CHARACTERS = 500

# Returns the jobs that an event calls for. It does nothing else, so that it may be called again: a
# job is known by its unique key, and one that is there already is left as it is. That is the record
# of what has been handled.
Reaction = Callable[[DomainEvent], Sequence[NewJob]]

# What passes by itself, and is no fault of the event.
_PASSING = frozenset({Kind.UNAVAILABLE, Kind.DEADLINE, Kind.THROTTLED})

_REACTOR = Actor("event-consumer", frozenset({"admin"}))


class EventConsumer:
    """Has each event's reaction called until it has succeeded once, or the event is given up."""

    def __init__(
        self,
        repository: Repository,
        reactions: Mapping[str, Reaction],
        count: Callable[[str], None] = lambda _outcome: None,
        tracing: Tracing = NO_TRACING,
    ) -> None:
        self._repository = repository
        self._tracing = tracing
        self._reactions = reactions
        # Is told how the reaction to each event ended.
        self._count = count
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        # The stream that is being read, for whoever stops the consumer.
        self._stream: Any = None
        self._log = get_logger(__name__)
        self._is_failing = False
        # Until when the reaction to a type is not tried.
        self._pauses: dict[str, Deadline] = {}

    def start(self) -> None:
        """Begin to consume; once is enough."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="event consumer", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Stop consuming, and return when the batch in hand is settled."""
        self._stopped.set()
        stream = self._stream
        if stream is not None:
            stream.cancel()
        if self._thread is not None:
            self._thread.join(STOP_SECONDS)

    def consume(self) -> int:
        """Handle the events of one stream, and return how many those were.

        Raises:
            AppError: the repository tier is away; what was not settled comes again.
        """
        request = pb.ConsumeEventsRequest(
            group=GROUP,
            types=sorted(self._reactions),
            max_events=MAX_EVENTS,
            lease_duration=Duration(seconds=LEASE_SECONDS),
        )
        count = 0
        stream: Any = self._repository.events.ConsumeEvents(request, timeout=STREAM_SECONDS)
        self._stream = stream
        if self._stopped.is_set():
            # Whoever stops the consumer has not seen this stream.
            stream.cancel()
        try:
            for answer in stream:
                count += len(answer.deliveries)
                self._handle(answer.deliveries)
                if self._stopped.is_set():
                    break
        finally:
            # One that nobody reads any more would go on to take events, and hold them.
            stream.cancel()
        return count

    def _run(self) -> None:
        while not self._stopped.is_set():
            count = 0
            try:
                count = self.consume()
            # The outermost frame of the thread: it must go on when the repository tier is back.
            except Exception as error:  # noqa: BLE001 - see above.
                self._tell_failure(error)
            else:
                self._tell_success()
            if not count:
                self._stopped.wait(PAUSE_SECONDS)

    def _handle(self, deliveries: Iterable[pb.Delivery]) -> None:
        settlements: list[pb.Settlement] = []
        wanted: list[tuple[pb.Delivery, Sequence[NewJob]]] = []
        for delivery in deliveries:
            try:
                wanted.append((delivery, self._jobs_of(delivery.event)))
            # An event that no reaction can read must not keep those behind it.
            except Exception as error:  # noqa: BLE001 - see above.
                settlements.append(self._failed(delivery, error))
        settlements += self._enqueued(wanted)
        self._repository.events.SettleEvents(
            pb.SettleEventsRequest(group=GROUP, settlements=settlements)
        )
        for settlement in settlements:
            name = pb.DeliveryOutcome.Name(settlement.outcome)
            self._count(name.removeprefix("DELIVERY_OUTCOME_").lower())

    def _jobs_of(self, event: DomainEvent) -> Sequence[NewJob]:
        pause = self._pauses.get(event.type)
        if pause is not None and pause.remaining() > 0:
            raise AppError(Kind.UNAVAILABLE, "SERVICE_UNAVAILABLE", "What it needs was away.")
        span: WorkSpan = NO_SPAN
        if event.traceparent:
            span = self._tracing.work(f"event {event.type}", Carried(event.traceparent))
        failure = ""
        call = Call(
            _REACTOR,
            event.request_id or event.id,
            Deadline.after(REACTION_SECONDS),
            span.traceparent or event.traceparent,
        )
        try:
            with call_scope(call):
                jobs = self._reactions[event.type](event)
            for job in jobs:
                job.traceparent = call.traceparent
        except AppError as error:
            failure = error.code
            if error.kind in _PASSING:
                self._pauses[event.type] = Deadline.after(PAUSE_SECONDS)
            raise
        else:
            return jobs
        finally:
            span.end(failure)

    def _enqueued(
        self, wanted: Sequence[tuple[pb.Delivery, Sequence[NewJob]]]
    ) -> list[pb.Settlement]:
        """Enqueue the jobs of all events by one call; where that fails, event by event."""
        jobs = [job for _, each in wanted for job in each]
        if len(jobs) <= MAX_JOBS:
            try:
                self._enqueue(jobs)
            except AppError as error:
                if error.kind in _PASSING:
                    return [self._failed(delivery, error) for delivery, _ in wanted]
            else:
                return [_done(delivery) for delivery, _ in wanted]
        return [self._enqueued_alone(*each) for each in wanted]

    def _enqueued_alone(self, delivery: pb.Delivery, jobs: Sequence[NewJob]) -> pb.Settlement:
        try:
            for begin in range(0, len(jobs), MAX_JOBS):
                self._enqueue(jobs[begin : begin + MAX_JOBS])
        except AppError as error:
            return self._failed(delivery, error)
        return _done(delivery)

    def _enqueue(self, jobs: Sequence[NewJob]) -> None:
        if jobs:
            self._repository.jobs.EnqueueJobs(EnqueueJobsRequest(jobs=jobs))

    def _failed(self, delivery: pb.Delivery, error: Exception) -> pb.Settlement:
        if isinstance(error, AppError) and error.kind in _PASSING:
            return pb.Settlement(
                delivery_id=delivery.delivery_id,
                outcome=pb.DELIVERY_OUTCOME_RETURNED,
                error=str(error)[:MAX_ERROR_CHARACTERS],
            )
        event = delivery.event
        self._log.warning(
            "event_failed",
            event_id=event.id,
            type=event.type,
            attempt=delivery.attempt,
            exc_info=error,
        )
        # The text of any other exception may quote what it stumbled over.
        text = str(error) if isinstance(error, AppError) else type(error).__name__
        return pb.Settlement(
            delivery_id=delivery.delivery_id,
            outcome=pb.DELIVERY_OUTCOME_FAILED,
            error=text[:MAX_ERROR_CHARACTERS],
        )

    def _tell_failure(self, error: Exception) -> None:
        if not self._is_failing and not self._stopped.is_set():
            self._log.warning("event_consumer_failing", error=str(error))
        self._is_failing = True

    def _tell_success(self) -> None:
        if self._is_failing:
            self._log.info("event_consumer_back")
        self._is_failing = False


def _done(delivery: pb.Delivery) -> pb.Settlement:
    return pb.Settlement(delivery_id=delivery.delivery_id, outcome=pb.DELIVERY_OUTCOME_DONE)
