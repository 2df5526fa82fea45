from __future__ import annotations

import pytest

from launcher.tiers import START_ORDER, TierName, environ_of

DATABASE = {"DATABASE_URL", "REDIS_URL_FILE"}
JWT = {"JWT_SECRET"}
TOKEN = {"TOKEN_SECRET_FILE"}
LAUNCHER = {"ARCANA_ADMIN_PASSWORD", "ARCANA_ADMIN_PASSWORD_FILE"}
NO_SECRETS = {"PATH", "LOG_LEVEL", "ARCANA_HOME", "SERVICE_URL"}


@pytest.mark.parametrize(
    ("tier", "secrets"),
    [("repository", DATABASE), ("service", JWT | TOKEN), ("controller", JWT)],
)
def test_a_tier_sees_its_own_secrets_only(tier: TierName, secrets: set[str]) -> None:
    everything = dict.fromkeys(DATABASE | JWT | TOKEN | LAUNCHER | NO_SECRETS, "x")

    assert set(environ_of(tier, everything)) == secrets | NO_SECRETS


@pytest.mark.parametrize("tier", START_ORDER)
def test_what_is_no_secret_keeps_its_value(tier: TierName) -> None:
    assert environ_of(tier, {"LOG_LEVEL": "debug"}) == {"LOG_LEVEL": "debug"}
