"""Point reads of one kind of thing from the repository tier: many callers in few RPCs.

The answers are the serialized messages of the repository tier's contract. Those of this tier's
contract have the same fields, which a contract test holds, so they go on as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tier_runtime.batches import Outcome, batch_from_wire
from tier_runtime.call import Call, shared_scope
from tier_runtime.coalescing import PATIENCE_SECONDS, Coalescer, Wanted
from tier_runtime.deadline import Deadline

if TYPE_CHECKING:
    from tier_runtime.metrics.parts import ReadsMeter

DEFAULT_MAX_BATCH = 64


class CoalescedReads:
    """Reads things by id, with two functions that send an RPC and return its answer as it comes.

    `batch_get` takes the ids of the things, and those of the requests that ask for them.
    """

    def __init__(
        self,
        get: Callable[[str], bytes],
        batch_get: Callable[[Sequence[str], Sequence[str]], bytes],
        *,
        max_batch: int,
        patience_seconds: float = PATIENCE_SECONDS,
        meter: ReadsMeter | None = None,
    ) -> None:
        self._get = get
        self._batch_get = batch_get
        self._coalescer: Coalescer[str, bytes] = Coalescer(
            self._fly, max_batch=max_batch, patience_seconds=patience_seconds, meter=meter
        )

    def get(self, call: Call, thing_id: str) -> bytes:
        """Return the answer of the single read; reads of several calls at the same time share one.

        Raises:
            AppError: what stands against this one.
        """
        return self._coalescer.ask(thing_id, call.deadline, call.request_id, call.traceparent)

    def _fly(self, wanted: Sequence[Wanted[str]], _deadline: Deadline) -> Sequence[Outcome]:
        # The RPC is made in the call of the one with the latest deadline, and so ends with it.
        ids = [one.key for one in wanted]
        request_ids = [request_id for one in wanted for request_id in one.notes]
        if len(request_ids) == 1:
            return [self._get(ids[0])]
        with shared_scope(span for one in wanted for span in one.spans):
            answer = self._batch_get(ids, request_ids)
        return batch_from_wire(answer, len(ids))
