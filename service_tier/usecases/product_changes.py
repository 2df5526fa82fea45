"""Makes products, changes what is told of them, and archives them."""

from __future__ import annotations

from dataclasses import dataclass

from arcana.common.v1 import domain_event_pb2
from arcana.repository.v1 import idempotency_pb2, product_pb2, product_repository_pb2
from service_tier.domain.faults import refuse_faults
from service_tier.domain.permissions import require_admin
from service_tier.domain.products import ProductDetails, stock_faults
from service_tier.events import Events
from service_tier.repository import Repository
from service_tier.usecases.versions import change_latest
from tier_runtime.call import Call
from tier_runtime.ids import IdSource
from tier_runtime.status import from_status

_UNCHANGED = product_pb2.PRODUCT_STATUS_UNSPECIFIED
_ARCHIVED = product_pb2.PRODUCT_STATUS_ARCHIVED


@dataclass(frozen=True, slots=True)
class ProductChange:
    """What is to be told of a product, and its status; UNSPECIFIED stays."""

    details: ProductDetails
    status: product_pb2.ProductStatus.ValueType = _UNCHANGED

    def given(self) -> dict[str, str | int]:
        """Return the fields that are to be told, by their names."""
        status = {} if self.status == _UNCHANGED else {"status": self.status}
        return {**self.details.given(), **status}

    def besides(self, product: product_pb2.Product) -> list[str]:
        """Return the names of the fields in which the product is not yet like the change."""
        return [name for name, value in self.given().items() if getattr(product, name) != value]


class ProductChanges:
    """Makes and changes products, for admins. The stock has a use case of its own."""

    def __init__(self, repository: Repository, events: Events, ids: IdSource) -> None:
        self._repository = repository
        self._events = events
        self._ids = ids

    def create(
        self,
        call: Call,
        change: ProductChange,
        stock: int,
        key: idempotency_pb2.IdempotencyKey | None,
    ) -> product_repository_pb2.CreateProductResponse:
        """Make a product; all of the change must be given.

        Raises:
            AppError: as the contract names them.
        """
        require_admin(call.actor)
        refuse_faults({**change.details.faults(), "stock": stock_faults(stock)})
        product_id = self._ids.new_id()
        request = product_repository_pb2.CreateProductRequest(
            idempotency_key=key,
            product_id=product_id,
            stock=stock,
            status=change.status,
            events=[
                self._events.product_created(
                    call, product_id=product_id, status=_status_name(change.status)
                )
            ],
        )
        for field, value in change.details.given().items():
            setattr(request, field, value)
        return self._repository.products.CreateProduct(request)

    def update(
        self, call: Call, product_id: str, expected_version: int, change: ProductChange
    ) -> product_pb2.Product:
        """Change what is given and nothing else.

        Raises:
            AppError: as the contract names them.
        """
        require_admin(call.actor)
        refuse_faults(change.details.faults())

        def apply(product: product_pb2.Product) -> product_pb2.Product:
            changed = change.besides(product)
            if not changed:
                return product
            # What a new status is told as depends on the old one, so there the version counts. What
            # else is told of a product is given, not computed: nothing is undone by it, and a
            # product that sells all the time, whose version grows with each sale, can be changed
            # all the same.
            version = product.version if "status" in changed else expected_version
            request = product_repository_pb2.UpdateProductRequest(
                product_id=product.id,
                expected_version=version,
                events=self._told(call, product, change, changed),
            )
            for field, value in change.given().items():
                setattr(request, field, value)
            return self._repository.products.UpdateProduct(request).product

        return change_latest(call, expected_version, lambda: self._read(product_id), apply)

    def delete(self, call: Call, product_id: str, expected_version: int) -> None:
        """Archive a product; an archived one stays as it is.

        Raises:
            AppError: as the contract names them.
        """
        require_admin(call.actor)

        def apply(product: product_pb2.Product) -> product_pb2.Product:
            if product.status == _ARCHIVED:
                return product
            request = product_repository_pb2.UpdateProductRequest(
                product_id=product.id,
                expected_version=product.version,
                status=_ARCHIVED,
                events=[self._events.product_deleted(call, product_id=product.id)],
            )
            return self._repository.products.UpdateProduct(request).product

        # Whether there is anything to tell of depends on what it was, so here the version counts.
        change_latest(call, expected_version, lambda: self._read(product_id), apply)

    def _told(
        self, call: Call, product: product_pb2.Product, change: ProductChange, changed: list[str]
    ) -> list[domain_event_pb2.DomainEvent]:
        """Return what a change is told as: to archive a product is to delete it, however asked."""
        events = []
        if change.status == _ARCHIVED != product.status:
            events.append(self._events.product_deleted(call, product_id=product.id))
            changed = [field for field in changed if field != "status"]
        if changed:
            events.append(
                self._events.product_updated(call, product_id=product.id, changed=changed)
            )
        return events

    def _read(self, product_id: str) -> product_pb2.Product:
        # Not GetProduct: a cached product may be older than a change that is already committed,
        # and a change computed from it could wrongly find that there is nothing to do.
        (result,) = self._repository.products.BatchGetProducts(
            product_repository_pb2.BatchGetProductsRequest(product_ids=[product_id], fresh=True)
        ).results
        if result.HasField("error"):
            raise from_status(result.error)
        return result.product


def _status_name(status: product_pb2.ProductStatus.ValueType) -> str:
    return product_pb2.ProductStatus.Name(status).removeprefix("PRODUCT_STATUS_").lower()
