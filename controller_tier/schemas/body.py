"""What all request bodies, and all answers, have in common."""

from __future__ import annotations

from typing import ClassVar

from marshmallow import EXCLUDE, RAISE, Schema


class Body(Schema):
    """A JSON object without members that it does not know."""

    # Whether no body at all means the same as an empty object.
    may_be_absent: ClassVar[bool] = False

    class Meta:
        """Makes an unknown member a field error, and says so in the document."""

        unknown = RAISE


class Document(Schema):
    """A JSON object that later versions may add members to; consumers ignore those."""

    class Meta:
        """Says in the document that there may be more."""

        unknown = EXCLUDE
