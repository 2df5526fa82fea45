from __future__ import annotations

import os

from tests.system.fake_tiers.behaviour import serve_inner_tier


def main() -> int:
    return serve_inner_tier("service", os.environ["SERVICE_BIND"])
