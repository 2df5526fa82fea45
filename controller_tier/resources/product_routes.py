"""The table of the routes below /products."""

from __future__ import annotations

from controller_tier.access_table import AccessTable
from controller_tier.operations import Answer, Operation, Resource
from controller_tier.resources.examples import (
    PRODUCT,
    PRODUCT_ID,
    PRODUCT_MATCHES,
    PRODUCT_PAGE,
    STOCK_CHANGES,
    STOCK_MOVEMENT_PAGE,
)
from controller_tier.resources.products import ProductViews
from controller_tier.schemas import products

_PRODUCT = Answer(200, "The product.", products.Product, PRODUCT, ("ETag",))
_DETAILS = {
    "name": "Brass gear",
    "description": PRODUCT["description"],
    "price": "19.99",
    "currency": "USD",
    "low_stock_threshold": 10,
    "category": "gears",
    "status": "active",
}


def products_resource(views: ProductViews, rpcs: AccessTable) -> Resource:
    """Return the rows below /products, less those of the stock."""
    return Resource(
        "products",
        "The catalogue: everybody sees what is active, admins everything.",
        (*_read_rows(views, rpcs), *_write_rows(views, rpcs)),
    )


def stock_resource(views: ProductViews, rpcs: AccessTable) -> Resource:
    """Return the rows of the products' stock."""
    return Resource(
        "stock",
        "How many units of a product there are, and how that came about.",
        (
            Operation(
                "PATCH",
                "/products/<id:id>/stock",
                "updateStock",
                views.update_stock,
                "Add units to a product's stock, or take some out.",
                (
                    Answer(
                        200,
                        "The product.",
                        products.Product,
                        PRODUCT,
                        ("ETag", "Idempotent-Replay"),
                    ),
                ),
                description="The stock never gets below 0.",
                body=products.UpdateStockBody,
                body_example={"quantity_change": 100, "reason": "delivery 4711"},
                problems=("PRODUCT_NOT_FOUND", "INSUFFICIENT_STOCK"),
                idempotent=True,
                conditional_write=True,
                rpc=rpcs.of("ProductService/UpdateStock"),
            ),
            Operation(
                "POST",
                "/products/stock/batch",
                "updateStocks",
                views.update_stocks,
                "Change the stock of several products.",
                (
                    Answer(
                        200,
                        "How it went.",
                        products.StockChanges,
                        STOCK_CHANGES,
                        ("Idempotent-Replay",),
                    ),
                ),
                description="Each change is made or refused by itself, those of one product in "
                "the order given; what stands against one is among the `errors`. Only a body "
                "that is not of this shape is refused whole.",
                body=products.UpdateStocksBody,
                body_example={"changes": [{"product_id": PRODUCT_ID, "quantity_change": -5}]},
                idempotent=True,
                rpc=rpcs.of("ProductService/BatchUpdateStock"),
            ),
            Operation(
                "GET",
                "/products/<id:id>/stock/movements",
                "listStockMovements",
                views.list_movements,
                "List a product's stock movements, by time.",
                (
                    Answer(
                        200,
                        "One page of movements.",
                        products.StockMovementPage,
                        STOCK_MOVEMENT_PAGE,
                    ),
                ),
                query=products.MovementsQuery,
                problems=("PRODUCT_NOT_FOUND",),
                rpc=rpcs.of("ProductService/ListStockMovements"),
            ),
        ),
    )


def _read_rows(views: ProductViews, rpcs: AccessTable) -> tuple[Operation, ...]:
    return (
        Operation(
            "GET",
            "/products",
            "listProducts",
            views.list_products,
            "List products.",
            (Answer(200, "One page of products.", products.ProductPage, PRODUCT_PAGE),),
            description="All but admins see active products only.",
            query=products.ProductsQuery,
            rpc=rpcs.of("ProductService/ListProducts"),
        ),
        Operation(
            "GET",
            "/products/search",
            "searchProducts",
            views.search_products,
            "Find products by words, the best match first.",
            (Answer(200, "The matches.", products.ProductMatches, PRODUCT_MATCHES),),
            description="All but admins see active products only.",
            query=products.SearchQuery,
            rpc=rpcs.of("ProductService/SearchProducts"),
        ),
        Operation(
            "GET",
            "/products/<id:id>",
            "getProduct",
            views.get_product,
            "Show a product.",
            (_PRODUCT,),
            description="To all but admins a product that is not active does not exist.",
            problems=("PRODUCT_NOT_FOUND",),
            conditional_read=True,
            rpc=rpcs.of("ProductService/GetProduct"),
        ),
    )


def _write_rows(views: ProductViews, rpcs: AccessTable) -> tuple[Operation, ...]:
    return (
        Operation(
            "POST",
            "/products",
            "createProduct",
            views.create_product,
            "Make a product.",
            (
                Answer(
                    201,
                    "The product.",
                    products.Product,
                    PRODUCT,
                    ("ETag", "Location", "Idempotent-Replay"),
                ),
            ),
            body=products.CreateProductBody,
            body_example={**_DETAILS, "stock": 120},
            idempotent=True,
            rpc=rpcs.of("ProductService/CreateProduct"),
        ),
        Operation(
            "PUT",
            "/products/<id:id>",
            "replaceProduct",
            views.replace_product,
            "Replace a product, but for its stock.",
            (_PRODUCT,),
            description="What is absent is as in a new product.",
            body=products.ReplaceProductBody,
            body_example=_DETAILS,
            problems=("PRODUCT_NOT_FOUND",),
            conditional_write=True,
            rpc=rpcs.of("ProductService/UpdateProduct"),
        ),
        Operation(
            "PATCH",
            "/products/<id:id>",
            "updateProduct",
            views.update_product,
            "Change a product, but not its stock.",
            (_PRODUCT,),
            description="A JSON merge patch (RFC 7396).",
            body=products.UpdateProductBody,
            body_example={"price": "17.50", "category": None},
            problems=("PRODUCT_NOT_FOUND",),
            conditional_write=True,
            rpc=rpcs.of("ProductService/UpdateProduct"),
        ),
        Operation(
            "DELETE",
            "/products/<id:id>",
            "deleteProduct",
            views.delete_product,
            "Archive a product.",
            (Answer(204, "Done; past orders keep it."),),
            problems=("PRODUCT_NOT_FOUND",),
            conditional_write=True,
            rpc=rpcs.of("ProductService/DeleteProduct"),
        ),
    )
