"""What can be asked of the service tier, one module for each thing it is about."""

from __future__ import annotations
