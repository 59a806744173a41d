"""An adapter that never saw passages is not put behind retrieval without anybody noticing."""

import json

import pytest

from groundtune.errors import DataError, TrainingError
from groundtune.tuning import adapters
from groundtune.tuning.adapters import SERVICE, Adapters
from groundtune.tuning.service import promoted
from groundtune.types import Adapter


def finished(folder, name, context):
    path = folder / name
    path.mkdir()
    (path / "adapter_config.json").write_text("{}")
    settings = {} if context is None else {"context": context}
    adapters.write(path, Adapter(str(path), "builtin:base", "d", settings))


def test_promotion_for_retrieval_is_refused(tmp_path):
    finished(tmp_path, "finetune-1", False)
    finished(tmp_path, "finetune-old", None)
    finished(tmp_path, "house", False)
    finished(tmp_path, "rag-finetune-1", True)
    registry = Adapters(tmp_path)
    for name in ("finetune-1", "finetune-old", "house"):
        with pytest.raises(DataError, match="without retrieved passages"):
            registry.promote(name, "rag+finetune")
    assert registry.in_service() == {}
    assert registry.promote("rag-finetune-1") == "rag+finetune" and registry.promote("finetune-1") == "finetune"


def test_a_promotion_that_got_around_it_is_not_answered_with(tmp_path):
    finished(tmp_path, "finetune-1", False)
    history = {"rag+finetune": ["finetune-1"], "finetune": ["finetune-1"]}
    (tmp_path / SERVICE).write_text(json.dumps({"version": 1, "history": history}))
    with pytest.raises(TrainingError, match="without retrieved passages"):
        promoted(tmp_path, "rag+finetune")
    assert promoted(tmp_path, "finetune") is not None
