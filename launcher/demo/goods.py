"""Demo products, with the ledger of how their stock came about before anybody bought any."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from arcana.repository.v1 import product_pb2
from launcher.demo.draws import (
    HOUR,
    YEAR_OF_GOODS,
    YEAR_OF_ORDERS,
    id_at,
    moment_of,
    random_of,
    timestamp_at,
)
from launcher.demo.words import ADJECTIVES, CATEGORIES, COLOURS, MATERIALS, SENTENCES, brand

CURRENCY = "USD"
INITIAL, RESTOCK = "initial", "restock"

_CATEGORY_NAMES = tuple(CATEGORIES)
_STATUSES = (
    product_pb2.PRODUCT_STATUS_ACTIVE,
    product_pb2.PRODUCT_STATUS_DRAFT,
    product_pb2.PRODUCT_STATUS_INACTIVE,
    product_pb2.PRODUCT_STATUS_ARCHIVED,
)
_STATUS_WEIGHTS = (92, 3, 3, 2)
_THRESHOLDS = (0, 5, 10, 20)
_ENDINGS = (0, 50, 90, 95, 99)


@dataclass(frozen=True, slots=True)
class Stocked:
    """A product, and the movements whose sum is its stock."""

    product: product_pb2.Product
    movements: tuple[product_pb2.StockMovement, ...]


def make_product(number: int) -> Stocked:
    """Return the product with this number, from 0. The first one is always for sale."""
    random = random_of("product", number)
    moment = moment_of(YEAR_OF_GOODS, number, random)
    id_ = id_at(moment, random)
    category = random.choice(_CATEGORY_NAMES)
    about, nouns = CATEGORIES[category]
    noun, material = random.choice(nouns), random.choice(MATERIALS)
    # As in a real shop, more products come with more brands, and most of them from few brands.
    maker = brand(int((number + 1) ** 0.7 * random.random() ** 2))
    colour, (first, second) = random.choice(COLOURS), random.sample(SENTENCES, 2)
    status = random.choices(_STATUSES, _STATUS_WEIGHTS)[0] if number else _STATUSES[0]
    movements = tuple(_stocking(moment, random))
    return Stocked(
        product_pb2.Product(
            id=id_,
            name=f"{maker} {random.choice(ADJECTIVES)} {material} {noun}",
            description=f"A {noun.lower()} of {material.lower()} in {colour}. {first} {second}",
            price_minor=_price(about, random),
            currency_code=CURRENCY,
            stock=sum(movement.quantity_change for movement in movements),
            low_stock_threshold=random.choice(_THRESHOLDS),
            category=category,
            status=status,
            # Each delivery after the first movement was a change.
            version=max(len(movements), 1),
            created_time=timestamp_at(moment),
            updated_time=movements[-1].created_time if movements else timestamp_at(moment),
        ),
        movements,
    )


def movement_at(
    moment: int, quantity_change: int, reason: str, random: Random, order_id: str = ""
) -> product_pb2.StockMovement:
    """Return a line of a ledger of this moment."""
    return product_pb2.StockMovement(
        id=id_at(moment, random),
        quantity_change=quantity_change,
        reason=reason,
        order_id=order_id,
        created_time=timestamp_at(moment),
    )


def _stocking(moment: int, random: Random) -> list[product_pb2.StockMovement]:
    # One in 25 was made before there was anything to sell.
    if random.random() < 0.04:
        return []
    movements = [movement_at(moment, random.randint(20, 500), INITIAL, random)]
    for _ in range(random.choices((0, 1, 2), (6, 3, 1))[0]):
        moment += random.randrange(HOUR, 240 * HOUR)
        # Whoever sells from 2025 on finds what came in 2024.
        delivered = min(moment, YEAR_OF_ORDERS - 1)
        movements.append(movement_at(delivered, 10 * random.randint(1, 20), RESTOCK, random))
    return movements


def _price(about: int, random: Random) -> int:
    units = int(about * random.lognormvariate(0.0, 0.5)) // 100
    return max(units, 1) * 100 + random.choice(_ENDINGS)
