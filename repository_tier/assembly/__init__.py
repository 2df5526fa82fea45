"""How the stores and the services over them are built, one module for each thing they are about.

Only `main` imports this; it hands in the settings, and what the parts share.
"""

from __future__ import annotations
