"""Products and their stock as JSON."""

from __future__ import annotations

from marshmallow import Schema, ValidationError, fields, validate

from controller_tier.fields import Choice, Money, QueryFlag, QueryInteger, Text
from controller_tier.schemas.body import Body, Document
from controller_tier.schemas.money import Amount
from controller_tier.schemas.paging import Page, SortedPageQuery

STATUSES = ("draft", "active", "inactive", "archived")
SORTS = ("created_at", "updated_at", "name", "price")
MAX_UNITS = 1_000_000_000
MAX_CHANGES = 1000


class Product(Document):
    """Something that can be sold."""

    id = fields.UUID(required=True, metadata={"description": "UUIDv7."})
    name = fields.String(required=True)
    description = fields.String(required=True, allow_none=True)
    price = Amount("Of one unit.")
    currency = fields.String(required=True, metadata={"description": "ISO 4217 code."})
    stock = fields.Integer(required=True, metadata={"description": "Units that can be sold."})
    low_stock_threshold = fields.Integer(
        required=True,
        metadata={"description": "At and below so many units the stock is low; 0: never."},
    )
    category = fields.String(required=True, allow_none=True)
    status = fields.String(required=True, metadata={"enum": list(STATUSES)})
    created_at = fields.DateTime(required=True)
    updated_at = fields.DateTime(required=True)


class ProductPage(Page):
    """One page of products."""

    data = fields.List(fields.Nested(Product), required=True)


class ProductMatches(Document):
    """The products that match best, the best first."""

    data = fields.List(fields.Nested(Product), required=True)


class _PricesQuery(Schema):
    """Which products are wanted, by what they cost and where they are listed."""

    category = Text(most=100, metadata={"description": "Only products of exactly this category."})
    min_price = Money(
        in_query=True, metadata={"description": "Only products that cost at least so much."}
    )
    max_price = Money(
        in_query=True, metadata={"description": "Only products that cost at most so much."}
    )


class ProductsQuery(SortedPageQuery, _PricesQuery):
    """Which products are wanted; all given conditions must hold."""

    sort = Choice(
        *SORTS,
        load_default="created_at",
        metadata={"description": "Sort field; prices count whatever their currency."},
    )
    status = Choice(
        *STATUSES,
        metadata={"description": "All but admins find nothing by any other than `active`."},
    )
    in_stock = QueryFlag(
        metadata={"description": "Whether there has to be a unit in stock, or none."}
    )


class SearchQuery(_PricesQuery):
    """What is looked for."""

    q = Text(
        most=255,
        required=True,
        metadata={
            "description": "Words, all of which must be in name, category or description, letter "
            "case and accents ignored. The last one may be the beginning of a word. Characters "
            "that are neither letters nor digits separate words and mean nothing else. More than "
            "32 words are refused."
        },
    )
    limit = QueryInteger(
        least=1, most=100, load_default=20, metadata={"description": "At most so many."}
    )


class MovementsQuery(SortedPageQuery):
    """Which page of a product's ledger is wanted."""

    sort = Choice("created_at", load_default="created_at", metadata={"description": "Sort field."})


class StockMovement(Document):
    """One line of a product's ledger; the sum of all of them is the stock."""

    id = fields.UUID(required=True, metadata={"description": "UUIDv7."})
    quantity_change = fields.Integer(
        required=True, metadata={"description": "Units that came (above 0) or went (below 0)."}
    )
    reason = fields.String(
        required=True,
        allow_none=True,
        metadata={
            "description": "What was given with the change, or `initial`, `order_placed`, "
            "`order_cancelled`."
        },
    )
    order_id = fields.UUID(
        required=True, allow_none=True, metadata={"description": "The order that caused it."}
    )
    created_at = fields.DateTime(required=True)


class StockMovementPage(Page):
    """One page of a product's ledger."""

    data = fields.List(fields.Nested(StockMovement), required=True)


class Units(fields.Integer):
    """A number of units: a whole number and nothing near it."""

    def __init__(self, **options: object) -> None:
        # The library's own stubs do not know what its parents take.
        super().__init__(
            strict=True,
            validate=validate.Range(min=0, max=MAX_UNITS),
            **options,  # type: ignore[arg-type]  # handed on as they come
        )


class QuantityChange(fields.Integer):
    """Units that come or go."""

    def __init__(self) -> None:
        super().__init__(
            strict=True,
            required=True,
            validate=[validate.Range(min=-MAX_UNITS, max=MAX_UNITS), _refuse_zero],
            metadata={
                "not": {"const": 0},
                "description": "Units that come (above 0) or go (below 0).",
            },
        )


def _refuse_zero(change: int) -> None:
    if change == 0:
        raise ValidationError("Must not be 0.")


def _name(*, required: bool) -> Text:
    return Text(most=255, strip=True, required=required, metadata={"description": "Display name."})


def _description() -> Text:
    return Text(
        least=0,
        most=5000,
        strip=True,
        lines=True,
        allow_none=True,
        metadata={"description": "Free text; null: none."},
    )


def _category() -> Text:
    return Text(
        least=0,
        most=100,
        strip=True,
        allow_none=True,
        metadata={"description": "What it is listed under, compared exactly; null: nothing."},
    )


def _price(*, required: bool) -> Money:
    return Money(
        required=required, metadata={"description": "Of one unit, with at most two decimals."}
    )


def _currency(*, absent: str = "") -> Text:
    # Which currencies there are, and which of them have hundredths, the service tier knows.
    return Text(
        least=3,
        most=3,
        pattern="[A-Z]{3}",
        fault="Not an ISO 4217 code, such as USD.",
        metadata={"description": f"ISO 4217 code of a currency that has hundredths{absent}."},
    )


def _threshold() -> Units:
    return Units(
        allow_none=True,
        metadata={"description": "At and below so many units the stock is low; 0 or null: never."},
    )


def _reason() -> Text:
    return Text(
        least=0,
        most=255,
        strip=True,
        allow_none=True,
        metadata={"description": "Stands in the ledger."},
    )


class ReplaceProductBody(Body):
    """The product as it shall be, less its stock; what is absent is as in a new one."""

    name = _name(required=True)
    description = _description()
    price = _price(required=True)
    currency = _currency(absent="; `USD` where it is not given")
    low_stock_threshold = _threshold()
    category = _category()
    status = Choice(*STATUSES, metadata={"description": "`draft` where it is not given."})


class CreateProductBody(ReplaceProductBody):
    """A new product."""

    stock = Units(metadata={"description": "Units in stock; none where it is not given."})


class UpdateProductBody(Body):
    """What shall change (JSON merge patch); absent members stay.

    Null clears description and category, and makes the stock never low; the others cannot be
    removed.
    """

    name = _name(required=False)
    description = _description()
    price = _price(required=False)
    currency = _currency()
    low_stock_threshold = _threshold()
    category = _category()
    status = Choice(*STATUSES)


class UpdateStockBody(Body):
    """More or fewer units."""

    quantity_change = QuantityChange()
    reason = _reason()


class StockChangeBody(Body):
    """More or fewer units of one product.

    Only its shape counts for the whole body. What a change means, and whether it can be made, is
    told of each by itself: one that is bad does not refuse the others.
    """

    product_id = fields.String(
        required=True, metadata={"description": "UUID of the product; any other is refused."}
    )
    quantity_change = fields.Integer(
        strict=True,
        required=True,
        metadata={
            "format": "int64",
            "description": "Units that come (above 0) or go (below 0); 0, and more than "
            f"{MAX_UNITS:,} either way, are refused.",
        },
    )
    reason = fields.String(
        allow_none=True,
        metadata={
            "description": "Stands in the ledger; more than 255 characters, and control "
            "characters, are refused."
        },
    )


class UpdateStocksBody(Body):
    """Changes of several products' stock, made in this order."""

    changes = fields.List(
        fields.Nested(StockChangeBody),
        required=True,
        validate=validate.Length(min=1, max=MAX_CHANGES),
    )


class StockChangeError(Document):
    """Why one change was refused."""

    index = fields.Integer(required=True, metadata={"description": "Its place, from 0."})
    product_id = fields.String(
        required=True, metadata={"description": "As it was sent, its first 255 characters."}
    )
    code = fields.String(
        required=True,
        metadata={"enum": ["INSUFFICIENT_STOCK", "PRODUCT_NOT_FOUND", "VALIDATION_FAILED"]},
    )
    message = fields.String(required=True, metadata={"description": "A sentence for people."})


class StockChanges(Document):
    """How several changes went: each was made or refused by itself."""

    success_count = fields.Integer(required=True)
    failure_count = fields.Integer(required=True)
    errors = fields.List(fields.Nested(StockChangeError), required=True)
