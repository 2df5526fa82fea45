"""`arcana seed` with numbers: a shop that can be used at once."""

from __future__ import annotations

from pathlib import Path

from launcher.accounts import DEMO_PASSWORD
from launcher.demo.goods import make_product
from tests.stores import StoreKind, Stores
from tests.system.books import open_books
from tests.system.client import Edge, bearer, expect
from tests.system.processes import ArcanaProcesses

SHOP = ("seed", "--products", "30", "--users", "4", "--orders", "25")


def test_a_shop_is_made_without_the_tiers_and_grows_beside_them(
    stores: Stores, store_kind: StoreKind, tmp_path: Path
) -> None:
    store = stores.new_store(store_kind)
    arcana = ArcanaProcesses(tmp_path, store)
    arcana.command("migrate")
    told = arcana.command("seed", "--products", "30")
    assert "Products: 30 made, 0 there already." in told

    with arcana, Edge(arcana.edge_url) as edge, open_books(store) as books:
        told = arcana.command(*SHOP)
        assert "Users: 4 made, 0 there already." in told
        assert "Products: 0 made, 30 there already." in told
        assert "Orders: 25 made, 0 there already." in told
        assert ("CACHE_TTL_SECONDS" in told) == (store_kind == "embedded")
        stock = books.stock()

        tokens = edge.sign_in("user0000001@demo.example", DEMO_PASSWORD)
        first = make_product(0).product
        shown = expect(edge.get(f"/products/{first.id}"), 200)
        assert (shown["name"], shown["stock"]) == (first.name, stock[first.id])
        word = first.name.split()[-1].lower()
        found = expect(edge.get("/products/search", params={"q": word, "limit": "100"}), 200)
        assert first.id in {product["id"] for product in found["data"]}
        mine = expect(edge.get("/orders", headers=bearer(tokens.access)), 200)
        assert mine["total"] > 0
        bought = expect(
            edge.post(
                "/orders",
                {"items": [{"product_id": first.id, "quantity": 1}]},
                headers=bearer(tokens.access),
            ),
            201,
        )
        assert bought["items"][0]["name"] == first.name
        assert books.stock()[first.id] == stock[first.id] - 1
