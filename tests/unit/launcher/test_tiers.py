from __future__ import annotations

import pytest

from launcher.settings import SERVICES
from launcher.tiers import START_ORDER, ProgramName, TierName, environ_of

DATABASE = {"DATABASE_URL", "REDIS_URL_FILE"}
JWT = {"JWT_SECRET"}
KEYS = {"JWT_SECRET_FILE", "JWT_SIGNING_KEY_FILE"}
TOKEN = {"TOKEN_SECRET_FILE"}
MAIL = {"SMTP_URL", "SMTP_URL_FILE", "USER_SYNC_TOKEN"}
LAUNCHER = {"ARCANA_ADMIN_PASSWORD", "ARCANA_ADMIN_PASSWORD_FILE"}
NO_SECRETS = {"PATH", "LOG_LEVEL", "ARCANA_HOME", "SERVICE_URL"}
EVERYTHING = dict.fromkeys(DATABASE | JWT | KEYS | TOKEN | MAIL | LAUNCHER | NO_SECRETS, "x")


@pytest.mark.parametrize(
    ("tier", "secrets"),
    [
        ("repository", DATABASE),
        ("service", JWT | KEYS | TOKEN | MAIL),
        # It verifies by public keys, or by the shared secret.
        ("controller", JWT | {"JWT_SECRET_FILE"}),
        # It opens the broker, and no database.
        ("worker", {"REDIS_URL_FILE"}),
    ],
)
def test_a_tier_sees_its_own_secrets_only(tier: ProgramName, secrets: set[str]) -> None:
    assert set(environ_of(EVERYTHING, {tier}, SERVICES)) == secrets | NO_SECRETS


@pytest.mark.parametrize(
    ("service", "secrets"),
    [
        ("auth", JWT | KEYS | TOKEN),
        ("users", TOKEN),
        ("rate_limits", set[str]()),
        ("products", TOKEN),
        ("orders", TOKEN),
        ("jobs", TOKEN | MAIL),
        ("events", set[str]()),
    ],
)
def test_a_microservice_sees_the_secrets_of_its_services_only(
    service: str, secrets: set[str]
) -> None:
    assert set(environ_of(EVERYTHING, {"service"}, {service})) == secrets | NO_SECRETS


def test_the_monolith_sees_the_secrets_of_all_tiers_but_not_the_launchers() -> None:
    assert set(environ_of(EVERYTHING, START_ORDER, SERVICES)) == set(EVERYTHING) - LAUNCHER


@pytest.mark.parametrize("tier", START_ORDER)
def test_what_is_no_secret_keeps_its_value(tier: TierName) -> None:
    assert environ_of({"LOG_LEVEL": "debug"}, {tier}) == {"LOG_LEVEL": "debug"}
