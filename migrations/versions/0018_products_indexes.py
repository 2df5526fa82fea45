"""What products are listed by."""

from __future__ import annotations

from migrations.steps import add_indexes

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    add_indexes(
        "products",
        {
            "ix_products_created_time_id": ["created_time", "id"],
            "ix_products_updated_time_id": ["updated_time", "id"],
            "ix_products_name_key_id": ["name_key", "id"],
            "ix_products_price_minor_id": ["price_minor", "id"],
            "ix_products_status_created_time_id": ["status", "created_time", "id"],
            "ix_products_status_updated_time_id": ["status", "updated_time", "id"],
            "ix_products_status_name_key_id": ["status", "name_key", "id"],
            "ix_products_status_price_minor_id": ["status", "price_minor", "id"],
            "ix_products_category_status_created_time_id": [
                "category",
                "status",
                "created_time",
                "id",
            ],
        },
    )
