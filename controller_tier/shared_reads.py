"""Reads of single things, those of several requests in one RPC: what all kinds of them share."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Generic, TypeVar

from tier_runtime.batches import Outcome, batch_from_wire
from tier_runtime.call import current_call, shared_scope
from tier_runtime.coalescing import PATIENCE_SECONDS, Coalescer, Wanted
from tier_runtime.deadline import Deadline

if TYPE_CHECKING:
    from tier_runtime.metrics.parts import ReadsMeter

KeyT = TypeVar("KeyT", bound=Hashable)


class SharedReads(Generic[KeyT]):
    """Reads by key; those at the same time share batch RPCs.

    `read_one` makes the single RPC for a key and returns its serialized answer, `read_many` the
    batch RPC for several. A batch is made in the call of one of those whom it is for, of the one
    with the latest deadline: for all of them it must answer alike, or name each one's own actor.
    """

    def __init__(
        self,
        read_one: Callable[[KeyT], bytes],
        read_many: Callable[[Sequence[Wanted[KeyT]]], bytes],
        *,
        max_batch: int,
        patience_seconds: float = PATIENCE_SECONDS,
        meter: ReadsMeter | None = None,
    ) -> None:
        self._read_one = read_one
        self._read_many = read_many
        self._coalescer: Coalescer[KeyT, bytes] = Coalescer(
            self._fly, max_batch=max_batch, patience_seconds=patience_seconds, meter=meter
        )

    def read(self, key: KeyT) -> bytes:
        """Return the serialized answer of the single RPC, for who need not look into it.

        Raises:
            AppError: as the single RPC does.
        """
        call = current_call()
        if call is None:
            return self._read_one(key)
        return self._coalescer.ask(key, call.deadline, call.request_id, call.traceparent)

    def _fly(self, wanted: Sequence[Wanted[KeyT]], _deadline: Deadline) -> Sequence[Outcome]:
        # The RPC is made in the call of the one with the latest deadline, and so ends with it.
        if len(wanted) == 1 and len(wanted[0].notes) == 1:
            # By itself, it is that call's own.
            return [self._read_one(wanted[0].key)]
        with shared_scope(span for one in wanted for span in one.spans):
            answer = self._read_many(wanted)
        return batch_from_wire(answer, len(wanted))
