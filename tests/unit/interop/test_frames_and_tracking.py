"""Reports as tables, in notebooks and in experiment trackers."""

from __future__ import annotations

import json
import os
import sys
import types
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from report_sample import make_report, make_verdict  # type: ignore[import-not-found]

from groundtune import messages
from groundtune.errors import GroundtuneError, MissingExtra, SpecError, UserError
from groundtune.interop.frames import TABLES
from groundtune.interop.tracking import log_report, numbers_of
from groundtune.measure.results import Report

REPORT: Report = make_report("en", 12)


def test_pandas() -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    items = REPORT.to_pandas()
    assert len(items) == sum(len(a.items) for a in REPORT.approaches) and items["approach"].nunique() == 5
    rag = REPORT.approach("rag")
    assert rag is not None
    mean = items[(items.approach == "rag")]["score.success"].mean()
    assert mean == pytest.approx(rag.metrics["success"].value)
    assert set(REPORT.to_pandas("metrics").columns) == {"approach", "model", "metric", "value", "low", "high", "n"}
    assert len(REPORT.to_pandas("contrasts")) == len(REPORT.contrasts) > 0
    assert isinstance(items, pandas.DataFrame)
    with pytest.raises(UserError, match="items, metrics, contrasts"):
        REPORT.to_pandas("scores")


def test_arrow(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    from pyarrow import parquet

    for name in TABLES:
        table = REPORT.to_arrow(name)
        parquet.write_table(table, tmp_path / f"{name}.parquet")
        assert parquet.read_table(tmp_path / f"{name}.parquet").to_pylist() == TABLES[name](REPORT)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("pandas", "pyarrow", "mlflow", "wandb"):
        monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtra, match="pip install pandas"):
        REPORT.to_pandas()
    with pytest.raises(MissingExtra, match="pip install pyarrow"):
        REPORT.to_arrow()
    with pytest.raises(MissingExtra, match="pip install wandb"):
        log_report(REPORT, "wandb:x")


class Text(HTMLParser):
    """Texts and tags; open tags must be closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_notebooks_show_the_table_and_the_verdict() -> None:
    messages.use("ja")
    try:
        shown = Text(REPORT._repr_html_())
        verdict = make_verdict(make_report("en"))
        said = Text(verdict._repr_html_())
        assert verdict.headline.text("ja") in said.texts
    finally:
        messages.use("en")
    assert "RAG" in " ".join(shown.texts) and any("%" in text for text in shown.texts)
    evil = Text(make_report("en", 12, evil=True)._repr_html_())
    assert not any(tag == "script" for tag in evil.open)


def test_mlflow_keeps_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mlflow", reason="mlflow-skinny is not installed")
    from mlflow.tracking import MlflowClient

    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "1")
    place = tmp_path / "runs"
    (tmp_path / "report.json").write_text(REPORT.to_json(), encoding="utf-8")
    logged = log_report(REPORT, f"mlflow:{place}#mine", (tmp_path / "report.json",))
    client = MlflowClient(tracking_uri=str(place))
    experiment = client.get_experiment_by_name("mine")
    runs = {run.info.run_id: run for run in client.search_runs([experiment.experiment_id])}
    assert set(runs) == {one.id for one in logged} and len(logged) == 5
    for one in logged:
        run, result = runs[one.id], REPORT.approach(one.approach)
        assert result is not None and run.data.params["approach"] == one.approach and run.info.status == "FINISHED"
        assert run.data.metrics["success"] == pytest.approx(result.metrics["success"].value)
        assert [file.path for file in client.list_artifacts(one.id)] == ["report.json"]


def test_wandb_keeps_runs_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb", reason="wandb is not installed")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    logged = log_report(Report.from_json(_only(REPORT, "rag")), "wandb:team/project")
    assert len(logged) == 1 and len(list(tmp_path.glob("wandb/offline-run-*/*.wandb"))) == 1


def _only(report: Report, name: str) -> str:
    table = json.loads(report.to_json())
    table["approaches"] = [one for one in table["approaches"] if one["name"] == name]
    return json.dumps(table)


class Recorder(types.ModuleType):
    """A tracker's SDK that records its calls: the seam, where the package is not installed here."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.calls: list[tuple[str, Any]] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)

        def call(*args: Any, **options: Any) -> Any:
            self.calls.append((name, options or args))
            return self

        return call


def test_the_seam_to_wandb_and_trackio(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What the SDKs are called with; that they take it is tested above where they are installed."""
    for tracker in ("wandb", "trackio"):
        sdk = Recorder(tracker)
        sdk.__dict__["id"] = "r1"
        monkeypatch.setitem(sys.modules, tracker, sdk)
        logged = log_report(REPORT, f"{tracker}:team/project" if tracker == "wandb" else f"{tracker}:project")
        names = [name for name, _ in sdk.calls]
        assert [one.approach for one in logged] == [a.name for a in REPORT.approaches]
        assert names.count("init") == names.count("log") == names.count("finish") == 5
        first = next(options for name, options in sdk.calls if name == "init")
        assert first["project"] == "project" and first["config"]["approach"] == "prompt"
        (numbers,) = next(args for name, args in sdk.calls if name == "log")
        assert numbers == numbers_of(REPORT.approaches[0]) and numbers["items"] > 0


def test_what_goes_wrong_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SpecError, match="mlflow:…"):
        log_report(REPORT, "excel:x")
    sdk = Recorder("wandb")

    def refuse(**options: Any) -> None:
        raise RuntimeError("no\nkey")

    sdk.__dict__["init"] = refuse
    monkeypatch.setitem(sys.modules, "wandb", sdk)
    with pytest.raises(GroundtuneError, match="RuntimeError: no key"):
        log_report(REPORT, "wandb:x")


def test_no_key_is_read_here() -> None:
    source = Path(sys.modules["groundtune.interop.tracking"].__file__ or "").read_text(encoding="utf-8")
    assert "environ" not in source and not any(name in source for name in ("API_KEY", "getenv")) and os.environ
