from __future__ import annotations

from pydantic import Field, SecretStr

from tier_runtime.settings import TierSettings


class RepositorySettings(TierSettings):
    fake_number: int = Field(default=1, description="A number.")
    fake_secret: SecretStr | None = Field(default=None, description="Of this tier alone.")
