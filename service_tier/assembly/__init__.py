"""How the services are built, one module for each thing they are about.

Only `main` imports this; it hands in the settings, and what talks to the repository tier.
"""

from __future__ import annotations
