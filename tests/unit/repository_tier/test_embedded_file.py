from __future__ import annotations

from pathlib import Path

import pytest

from repository_tier.embedded_file import own
from tier_runtime.startup import StartupError


def test_a_second_owner_of_the_embedded_database_is_refused_until_the_first_is_gone(
    tmp_path: Path,
) -> None:
    file = tmp_path / "arcana.db"
    give_back = own(file)
    with pytest.raises(StartupError, match="Another repository tier serves"):
        own(file)
    give_back()
    own(file)()


def test_a_claim_that_cannot_be_made_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match="Cannot claim"):
        own(tmp_path / "missing" / "arcana.db")
