"""Demo orders, with the movements of stock that they made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from random import Random
from typing import NamedTuple, Protocol

from arcana.repository.v1 import order_pb2, product_pb2
from launcher.demo.draws import HOUR, YEAR_OF_ORDERS, id_at, moment_of, random_of, timestamp_at
from launcher.demo.goods import CURRENCY, RESTOCK, make_product, movement_at
from launcher.demo.people import make_user

ORDER_PLACED, ORDER_CANCELLED = "order_placed", "order_cancelled"
# What a shop has too few of it orders in hundreds.
DELIVERY = 100

# The versions are those of an order that came here step by step.
_STATUSES = (
    (order_pb2.ORDER_STATUS_DELIVERED, 4),
    (order_pb2.ORDER_STATUS_SHIPPED, 3),
    (order_pb2.ORDER_STATUS_PAID, 2),
    (order_pb2.ORDER_STATUS_PENDING, 1),
    (order_pb2.ORDER_STATUS_CANCELLED, 2),
)
_STATUS_WEIGHTS = (60, 12, 10, 8, 10)
_LINES = (1, 2, 3, 4, 5, 6, 7, 8)
_LINE_WEIGHTS = (40, 25, 14, 8, 5, 4, 2, 2)
_DRAWS = 20


@dataclass(frozen=True, slots=True)
class Charge:
    """What a price list makes of an order: the rule it went by, and what it takes off each line."""

    pricing: order_pb2.Pricing.ValueType
    discounts: Sequence[int]


class Offer(NamedTuple):
    """What an order needs to know of a product."""

    id: str
    name: str
    price_minor: int
    stock: int
    is_for_sale: bool


class PriceList(Protocol):
    """Prices orders as the service tier does."""

    def __call__(self, lines: Sequence[tuple[int, int]], roles: frozenset[str]) -> Charge:
        """Price lines, each a quantity and a unit price in hundredths, for who has these roles."""
        ...


@dataclass(frozen=True, slots=True)
class Sold:
    """An order, and the movements that belong to it by the ids of their products."""

    order: order_pb2.Order
    movements: tuple[tuple[str, product_pb2.StockMovement], ...]


class Sales:
    """Sells the first products to the first users.

    Args:
        products: how many there are to sell; at least one.
        users: how many may buy; at least one.
        price: what orders cost.
    """

    def __init__(self, products: int, users: int, price: PriceList) -> None:
        self._products = products
        self._users = users
        self._price = price
        # Units of the products that somebody bought. What is cancelled comes back in the ledger,
        # but not here: whatever the order of two movements, the stock is never below zero.
        self._left: dict[int, int] = {}

    def orders(self, count: int) -> Iterator[Sold]:
        """Return the first orders, one after the other: each finds the stock that is left."""
        return map(self._order, range(count))

    def _order(self, number: int) -> Sold:
        random, moment, order_id = _begun(number)
        buyer = make_user(random.randrange(self._users))
        basket = self._basket(random)
        items, charge = self._items(basket, frozenset(buyer.roles))
        status, version = random.choices(_STATUSES, _STATUS_WEIGHTS)[0]
        changed = moment + (version - 1) * random.randrange(HOUR, 24 * HOUR)
        movements: list[tuple[str, product_pb2.StockMovement]] = []
        for product_number, quantity in basket.items():
            product_id = _offer(product_number).id
            taken = self._take(product_number, quantity, moment, order_id, random)
            movements += [(product_id, movement) for movement in taken]
            if status == order_pb2.ORDER_STATUS_CANCELLED:
                back = movement_at(changed, quantity, ORDER_CANCELLED, random, order_id)
                movements.append((product_id, back))
        subtotal = sum(item.quantity * item.unit_price_minor for item in items)
        discount = sum(item.discount_minor for item in items)
        order = order_pb2.Order(
            id=order_id,
            user_id=buyer.id,
            status=status,
            items=items,
            subtotal_minor=subtotal,
            discount_minor=discount,
            total_minor=subtotal - discount,
            currency_code=CURRENCY,
            pricing=charge.pricing,
            version=version,
            created_time=timestamp_at(moment),
            updated_time=timestamp_at(changed),
        )
        return Sold(order, tuple(movements))

    def _basket(self, random: Random) -> Mapping[int, int]:
        """Draw how much of which products is bought."""
        basket: dict[int, int] = {}
        lines = random.choices(_LINES, _LINE_WEIGHTS)[0]
        for _ in range(_DRAWS):
            # Some products sell better than others.
            number = int(self._products * random.random() ** 2)
            if number not in basket and _offer(number).is_for_sale:
                basket[number] = _quantity(random)
            if len(basket) == lines:
                break
        return basket or {0: _quantity(random)}

    def _items(
        self, basket: Mapping[int, int], roles: frozenset[str]
    ) -> tuple[list[order_pb2.OrderItem], Charge]:
        sold = [(_offer(number), quantity) for number, quantity in basket.items()]
        charge = self._price([(quantity, offer.price_minor) for offer, quantity in sold], roles)
        items = [
            order_pb2.OrderItem(
                product_id=offer.id,
                name=offer.name,
                quantity=quantity,
                unit_price_minor=offer.price_minor,
                discount_minor=discount,
                line_total_minor=quantity * offer.price_minor - discount,
            )
            for (offer, quantity), discount in zip(sold, charge.discounts, strict=True)
        ]
        return items, charge

    def _take(
        self, number: int, quantity: int, moment: int, order_id: str, random: Random
    ) -> Iterator[product_pb2.StockMovement]:
        """Take units out of stock, after a delivery where there are too few of them."""
        left = self._left.get(number)
        if left is None:
            left = _offer(number).stock
        if left < quantity:
            delivered = (quantity // DELIVERY + 1) * DELIVERY
            left += delivered
            # Before any other movement of this moment.
            yield movement_at(moment - 1, delivered, RESTOCK, random)
        self._left[number] = left - quantity
        yield movement_at(moment, -quantity, ORDER_PLACED, random, order_id)


def order_id(number: int) -> str:
    """Return the id of the order with this number, from 0; it is the same in every shop."""
    return _begun(number)[2]


def _begun(number: int) -> tuple[Random, int, str]:
    random = random_of("order", number)
    moment = moment_of(YEAR_OF_ORDERS, number, random)
    return random, moment, id_at(moment, random)


# What sells well is asked for again and again; making one is what an order costs most.
@lru_cache(maxsize=100_000)
def _offer(number: int) -> Offer:
    product = make_product(number).product
    return Offer(
        product.id,
        product.name,
        product.price_minor,
        product.stock,
        product.status == product_pb2.PRODUCT_STATUS_ACTIVE,
    )


def _quantity(random: Random) -> int:
    return random.randint(10, 40) if random.random() < 0.06 else random.randint(1, 4)
