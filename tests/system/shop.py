"""Products and orders of a running system, made through its edge."""

from __future__ import annotations

from dataclasses import dataclass

from tests.system.client import Account, Edge, Json, expect


@dataclass(frozen=True, slots=True)
class Shop:
    """What is sold, by the admin who fills the shelves."""

    edge: Edge
    admin: Account

    def product(self, **members: object) -> Json:
        """Make an active product with ten units, or as the members say."""
        usual = {"name": "Brass gear", "price": "19.99", "stock": 10, "status": "active"}
        answer = self.edge.post("/products", usual | members, headers=self.admin.bearer)
        return expect(answer, 201)

    def order(self, customer: Account, quantity: int = 1) -> Json:
        """Let somebody order units of a product that nobody else orders."""
        body = {"items": [{"product_id": self.product()["id"], "quantity": quantity}]}
        return expect(self.edge.post("/orders", body, headers=customer.bearer), 201)

    def stock(self, product_id: str) -> int:
        """Look how many units there are."""
        product = expect(self.edge.get(f"/products/{product_id}"), 200)
        stock: int = product["stock"]
        return stock
