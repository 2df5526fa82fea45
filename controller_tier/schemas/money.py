"""Amounts of money in answers; `controller_tier.fields` has those that come in."""

from __future__ import annotations

from marshmallow import fields


class Amount(fields.String):
    """An amount in an answer: decimal text with two places."""

    def __init__(self, description: str = "") -> None:
        told = {"description": description} if description else {}
        super().__init__(required=True, metadata={"pattern": r"^[0-9]+\.[0-9]{2}$", **told})
