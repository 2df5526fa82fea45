from __future__ import annotations

from pydantic import Field

from tier_runtime.settings import TierSettings


class ServiceSettings(TierSettings):
    fake_number: int = Field(default=1, description="A number.")
