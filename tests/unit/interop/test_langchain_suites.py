"""The official suites of langchain-tests, unmodified, run in a process of their own: the plugins that they bring would
change how every other test runs.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import xml.etree.ElementTree as Xml
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "tests" / "langchain_suites"
# How many of each suite must at least have run and passed: a suite that skips everything is not passed.
PASSED = {
    "TestRetriever": 5, "TestVectorStore": 25, "TestDenseVectorStore": 25, "TestChatModelUnit": 8, "TestChatModel": 29,
    "TestEmbeddingsUnit": 3, "TestEmbeddings": 5,
}  # fmt: skip


def run(tmp_path: Path, *options: str) -> dict[str, dict[str, int]]:
    """Passed and not passed by class. Raises ``AssertionError`` with the end of the output when one fails."""
    if importlib.util.find_spec("langchain_tests") is None:
        pytest.skip("needs the dev extra (langchain-tests not installed)")
    report = tmp_path / "report.xml"
    environment = {k: v for k, v in os.environ.items() if k != "PYTEST_ADDOPTS"}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT / "src"), environment.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "pytest", "-c", str(FOLDER / "suites.ini"), str(FOLDER), f"--junitxml={report}"]
    done = subprocess.run([*command, *options], env=environment, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    counts: dict[str, dict[str, int]] = {}
    for case in Xml.parse(report).iter("testcase"):
        name = str(case.get("classname")).rpartition(".")[2]
        kind = "skipped" if case.find("skipped") is not None else "passed"
        counts.setdefault(name, {"passed": 0, "skipped": 0})[kind] += 1
    return counts


def test_the_official_suites_pass(tmp_path: Path) -> None:
    counts = run(tmp_path, "-m", "not built_in")
    assert set(counts) == set(PASSED)
    few = {name: counts[name] for name, least in PASSED.items() if counts[name]["passed"] < least}
    assert not few


@pytest.mark.slow
@pytest.mark.tune
def test_the_built_in_model_passes_too(tmp_path: Path) -> None:
    counts = run(tmp_path, "-m", "built_in")
    assert counts["TestBuiltInChatModel"]["passed"] >= 17
