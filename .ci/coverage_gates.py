"""Judge the branch coverage of each package after `make test`: a line each, exit code 1 below."""

from __future__ import annotations

import io
import sys

import coverage

# In percent, of lines and branches together; fallen below is a failure.
GATES = {
    "service_tier": 95.0,
    "repository_tier": 90.0,
    "controller_tier": 90.0,
    "tier_runtime": 85.0,
    "launcher": 85.0,
    "benchmarks": 85.0,
    "monitoring": 85.0,
    "k8s": 85.0,
}


def main() -> int:
    measured = coverage.Coverage()
    measured.load()
    failed = False
    for package, gate in GATES.items():
        detail = io.StringIO()
        try:
            percent = measured.report(include=[f"{package}/*"], file=detail)
        except coverage.exceptions.NoDataError:
            percent = 0.0
        below = percent < gate
        failed = failed or below
        print(
            f"coverage: {package:<16} {percent:6.2f} % (at least {gate:g} %)"
            + (" TOO LOW" if below else "")
        )
        if below:
            print(detail.getvalue())
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
