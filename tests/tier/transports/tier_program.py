"""A tier of the suite in a process of its own, served as the tiers' own programs are.

Its one argument is a TierPlan as JSON. Its log on stdout tells where it listens.
"""

from __future__ import annotations

import json
import sys

from tests.tier.transports.plans import TierPlan
from tier_runtime.logs import configure_logging
from tier_runtime.startup import run_main
from tier_runtime.tier import serve_tier


def main() -> int:
    plan = TierPlan(**json.loads(sys.argv[1]))
    configure_logging(plan.kind, "info")
    return serve_tier(plan.serving(), plan.make)


if __name__ == "__main__":
    sys.exit(run_main(main))
