"""Places orders: at the prices of the moment, or not at all.

Prices are read, the order is priced by them, and the repository tier sells at no other: when one
has changed in between, it refuses, and the order is priced anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from arcana.repository.v1 import (
    idempotency_pb2,
    order_pb2,
    order_repository_pb2,
    product_pb2,
    product_repository_pb2,
)
from service_tier.domain.faults import refuse_faults
from service_tier.domain.orders import WantedLine, line_faults
from service_tier.domain.permissions import require_signed_in
from service_tier.domain.pricing import Line, PricedOrder, Pricing, priced
from service_tier.events import Events
from service_tier.repository import Repository
from service_tier.usecases.products import product_not_found
from tier_runtime.call import Call
from tier_runtime.errors import AppError, Kind
from tier_runtime.ids import IdSource
from tier_runtime.status import from_status

# A price that changes once is met by the second attempt; who changes it again and again is not
# waited for.
MAX_ATTEMPTS = 5

_PRICINGS: Mapping[Pricing, order_pb2.Pricing.ValueType] = MappingProxyType(
    {
        Pricing.REGULAR: order_pb2.PRICING_REGULAR,
        Pricing.BULK: order_pb2.PRICING_BULK,
        Pricing.PREMIUM: order_pb2.PRICING_PREMIUM,
    }
)


class OrderPlacing:
    """Places orders."""

    def __init__(self, repository: Repository, events: Events, ids: IdSource) -> None:
        self._repository = repository
        self._events = events
        self._ids = ids

    def place(
        self,
        call: Call,
        lines: Sequence[WantedLine],
        key: idempotency_pb2.IdempotencyKey | None,
    ) -> order_repository_pb2.PlaceOrderResponse:
        """Place an order of the actor's own: every line or none.

        Whether a product is for sale is for the repository tier to say, as only it knows whether
        this very order was placed before, when the product still was.

        Raises:
            AppError: as the contract names them.
        """
        require_signed_in(call.actor)
        refuse_faults(line_faults(lines))
        order_id = self._ids.new_id()
        for attempt in range(MAX_ATTEMPTS):
            call.deadline.check()
            products = self._read(lines, fresh=attempt > 0)
            if attempt > 0:
                refuse_faults(_currency_faults(products))
            request = self._request(call, order_id, lines, products, key)
            try:
                return self._repository.orders.PlaceOrder(request)
            except AppError as error:
                if error.kind is not Kind.STALE:
                    raise
        raise AppError(
            Kind.UNAVAILABLE,
            "SERVICE_UNAVAILABLE",
            "Prices are changing faster than an order can be placed.",
            retry_after=1.0,
        )

    def _read(self, lines: Sequence[WantedLine], *, fresh: bool) -> list[product_pb2.Product]:
        """Return the product of each line."""
        ids = list(dict.fromkeys(line.product_id for line in lines))
        found = self._results(ids, fresh=fresh)
        if not fresh and any(isinstance(one, AppError) for one in found):
            # The cache may not know yet of what was made a moment ago.
            found = self._results(ids, fresh=True)
        by_id = dict(zip(ids, found, strict=True))
        return _all_found(lines, [by_id[line.product_id] for line in lines])

    def _results(
        self, product_ids: Sequence[str], *, fresh: bool
    ) -> list[product_pb2.Product | AppError]:
        answer = self._repository.products.BatchGetProducts(
            product_repository_pb2.BatchGetProductsRequest(product_ids=product_ids, fresh=fresh)
        )
        return [
            from_status(result.error) if result.HasField("error") else result.product
            for result in answer.results
        ]

    def _request(
        self,
        call: Call,
        order_id: str,
        lines: Sequence[WantedLine],
        products: Sequence[product_pb2.Product],
        key: idempotency_pb2.IdempotencyKey | None,
    ) -> order_repository_pb2.PlaceOrderRequest:
        order = priced(
            [
                Line(product.id, line.quantity, product.price_minor)
                for line, product in zip(lines, products, strict=True)
            ],
            call.actor.roles,
        )
        currency_code = products[0].currency_code
        return order_repository_pb2.PlaceOrderRequest(
            idempotency_key=key,
            order_id=order_id,
            user_id=call.actor.subject,
            items=_priced_lines(order),
            currency_code=currency_code,
            pricing=_PRICINGS[order.pricing],
            total_minor=order.total_minor,
            events=[
                self._events.order_created(
                    call,
                    order_id=order_id,
                    user_id=call.actor.subject,
                    total_minor=order.total_minor,
                    currency_code=currency_code,
                )
            ],
        )


def _all_found(
    lines: Sequence[WantedLine], found: Sequence[product_pb2.Product | AppError]
) -> list[product_pb2.Product]:
    """Return the products, when there are all of them.

    Raises:
        AppError: INVALID/VALIDATION_FAILED, naming each line whose id is none; else the error of
            the first line that has one.
    """
    refuse_faults(
        {
            f"items.{number}.product_id": ["Not the id of a product."]
            for number, one in enumerate(found)
            if isinstance(one, AppError) and one.kind is Kind.INVALID
        }
    )
    products = []
    for line, one in zip(lines, found, strict=True):
        if isinstance(one, AppError):
            raise product_not_found(line.product_id) if one.kind is Kind.MISSING else one
        products.append(one)
    return products


def _currency_faults(products: Sequence[product_pb2.Product]) -> dict[str, list[str]]:
    first = products[0].currency_code
    return {
        f"items.{number}.product_id": [
            f"Costs {product.currency_code}, and what stands before it {first}: order them apart."
        ]
        for number, product in enumerate(products)
        if product.currency_code != first
    }


def _priced_lines(order: PricedOrder) -> list[order_repository_pb2.PricedLine]:
    return [
        order_repository_pb2.PricedLine(
            product_id=one.line.product_id,
            quantity=one.line.quantity,
            unit_price_minor=one.line.unit_price_minor,
            discount_minor=one.discount_minor,
        )
        for one in order.lines
    ]
