"""Prints the OpenAPI document of the edge: `python -m controller_tier.openapi`."""

from __future__ import annotations

import sys

from controller_tier.app import unconnected_document
from controller_tier.openapi_document import text_of


def main() -> int:
    """Print the document as the code has it, the same text for the same code."""
    sys.stdout.write(text_of(unconnected_document()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
