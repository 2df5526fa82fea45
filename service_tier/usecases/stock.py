"""Changes stock: of one product, or of many by a stream; and reads its ledger."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice

from arcana.common.v1 import paging_pb2
from arcana.repository.v1 import idempotency_pb2, product_repository_pb2
from service_tier.domain.faults import refuse_faults
from service_tier.domain.permissions import require_admin
from service_tier.domain.products import StockChange
from service_tier.idempotency import IdempotencyKeys
from service_tier.repository import Repository
from tier_runtime.call import Call
from tier_runtime.errors import AppError, Kind
from tier_runtime.status import from_status
from tier_runtime.validation import invalid

GROUP_SIZE = 100
# A stream may take minutes; one group of it has the time of any other request.
GROUP_SECONDS = 5.0
MAX_ERRORS = 1000
# A product id that is none could be as long as a message, and a thousand of them be kept.
MAX_TOLD_ID_LENGTH = 255
SHA256_BYTES = 32


@dataclass(frozen=True, slots=True)
class StreamHead:
    """What a message tells of its whole stream; it counts in the first one only.

    An empty key, a count of 0 and an empty digest are not told.
    """

    request_id: str
    change_count: int
    changes_sha256: bytes

    def faults(self) -> dict[str, list[str]]:
        """Return what is wrong with each field; of the key, `IdempotencyKeys` knows."""
        has_digest = len(self.changes_sha256) in {0, SHA256_BYTES}
        return {
            "change_count": ["Must not be below 0."] if self.change_count < 0 else [],
            "changes_sha256": [] if has_digest else [f"Must have {SHA256_BYTES} bytes."],
        }

    def refuse_other_count(self, count: int, *, is_end: bool) -> None:
        """Check what came so far against the told count.

        Raises:
            AppError: INVALID/VALIDATION_FAILED, for a stream that ends before or goes on after it.
        """
        is_wrong = count != self.change_count if is_end else count >= self.change_count
        if self.change_count and is_wrong:
            raise invalid({"change_count": ["The stream has another number of changes."]})

    def binding(self, *, is_end: bool) -> str:
        """Return what a group's key is bound to besides the group.

        That it is the last one is part of it, or a stream could be sent again cut short between
        two groups, or with more after it.
        """
        return f"{self.change_count} {self.changes_sha256.hex()} {is_end}"


@dataclass(frozen=True, slots=True)
class SentChange:
    """One message of a stream."""

    head: StreamHead
    change: StockChange


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why one change of a stream was not made."""

    index: int
    product_id: str
    code: str
    message: str


@dataclass(slots=True)
class BatchResult:
    """How the changes of a stream went: all are counted, and the first errors kept."""

    success_count: int = 0
    failure_count: int = 0
    refusals: list[Refusal] = field(default_factory=list)
    replayed_groups: int = 0
    made_groups: int = 0

    @property
    def count(self) -> int:
        """How many changes there were so far."""
        return self.success_count + self.failure_count

    @property
    def replayed(self) -> bool:
        """True when nothing was made now, because all of it was before."""
        return self.replayed_groups > 0 and self.made_groups == 0

    def add(self, change: StockChange, error: AppError | None) -> None:
        """Count the next change."""
        index = self.count
        if error is None:
            self.success_count += 1
            return
        self.failure_count += 1
        if len(self.refusals) < MAX_ERRORS:
            product_id = change.product_id[:MAX_TOLD_ID_LENGTH]
            self.refusals.append(Refusal(index, product_id, error.code, _told(error)))


class Stock:
    """Changes stock and reads its ledger, for admins."""

    def __init__(self, repository: Repository, idempotency: IdempotencyKeys) -> None:
        self._repository = repository
        self._idempotency = idempotency

    def update(
        self,
        call: Call,
        change: StockChange,
        expected_version: int,
        key: idempotency_pb2.IdempotencyKey | None,
    ) -> product_repository_pb2.UpdateStockResponse:
        """Add units to the stock of one product, or take them out.

        Raises:
            AppError: as the contract names them.
        """
        require_admin(call.actor)
        refuse_faults(change.faults())
        return self._repository.products.UpdateStock(
            product_repository_pb2.UpdateStockRequest(
                idempotency_key=key,
                product_id=change.product_id,
                expected_version=expected_version,
                quantity_change=change.quantity_change,
                reason=change.reason,
            )
        )

    def batch_update(self, call: Call, sent: Iterable[SentChange]) -> BatchResult:
        """Do what `update` does for each change of a stream, in groups, in memory for one group.

        With a key each group is recorded, also one of which nothing can be made: another stream
        with the same key then differs from what is recorded in its first such group.

        Raises:
            AppError: as the contract names them; groups before that remain made.
        """
        require_admin(call.actor)
        stream = iter(sent)
        first = next(stream, None)
        result = BatchResult()
        if first is None:
            return result
        head = first.head
        refuse_faults(head.faults())
        for number, (group, is_end) in enumerate(_groups(chain([first], stream))):
            # The caller may be gone or late before the stream is at its end.
            call.deadline.check()
            head.refuse_other_count(result.count + len(group), is_end=is_end)
            key = self._idempotency.key_for_part(
                call.actor,
                "BatchUpdateStock",
                head.request_id,
                number,
                _request(group),
                whole=head.binding(is_end=is_end),
            )
            self._make(group, key, result)
        return result

    def list_movements(self, call: Call, product_id: str, page: paging_pb2.PageRequest) -> bytes:
        """Return one page of a product's ledger, as the serialized answer of ListStockMovements.

        Raises:
            AppError: as the contract names them.
        """
        require_admin(call.actor)
        return self._repository.product_reads.list_movements(
            product_repository_pb2.ListStockMovementsRequest(product_id=product_id, page=page)
        )

    def _make(
        self,
        group: Sequence[StockChange],
        key: idempotency_pb2.IdempotencyKey | None,
        result: BatchResult,
    ) -> None:
        refused = [_refusal(change) for change in group]
        sound = [one for one, error in zip(group, refused, strict=True) if error is None]
        outcomes: Iterator[AppError | None] = iter(())
        if sound or key is not None:
            answer = self._repository.products.BatchUpdateStock(
                _request(sound, key), timeout=GROUP_SECONDS
            )
            outcomes = (_outcome(one) for one in answer.results)
            if answer.replayed:
                result.replayed_groups += 1
            else:
                result.made_groups += 1
        for change, error in zip(group, refused, strict=True):
            result.add(change, error or next(outcomes))


def _groups(sent: Iterator[SentChange]) -> Iterator[tuple[list[StockChange], bool]]:
    """Yield the groups, and of each whether it is the last; one change is read ahead for that."""
    following = next(sent, None)
    while following is not None:
        group = [following.change, *(one.change for one in islice(sent, GROUP_SIZE - 1))]
        following = next(sent, None)
        yield group, following is None


def _request(
    changes: Iterable[StockChange], key: idempotency_pb2.IdempotencyKey | None = None
) -> product_repository_pb2.BatchUpdateStockRequest:
    return product_repository_pb2.BatchUpdateStockRequest(
        idempotency_key=key,
        changes=[
            product_repository_pb2.StockChange(
                product_id=change.product_id,
                quantity_change=change.quantity_change,
                reason=change.reason,
            )
            for change in changes
        ],
    )


def _refusal(change: StockChange) -> AppError | None:
    faults = {field: messages for field, messages in change.faults().items() if messages}
    return invalid(faults) if faults else None


def _outcome(result: product_repository_pb2.StockChangeResult) -> AppError | None:
    return from_status(result.error) if result.HasField("error") else None


def _told(error: AppError) -> str:
    """Return what is wrong in one text, since a refusal has no fields."""
    if error.kind is not Kind.INVALID or not error.field_errors:
        return error.message
    return " ".join(
        f"{field}: {message}"
        for field, messages in error.field_errors.items()
        for message in messages
    )
