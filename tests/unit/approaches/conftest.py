import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "tuning"))


@pytest.fixture(autouse=True)
def _english(monkeypatch):
    monkeypatch.setenv("GROUNDTUNE_LANG", "en")
