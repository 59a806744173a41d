"""``tune --engine ray``: the adapter of a local training from two workers, of which one is killed on the way."""

from __future__ import annotations

import json
import re
import sys
import threading
from pathlib import Path

import pytest
from command_line import Cli
from ray_cluster import kill_worker, wait_until

# Six processes load torch and its friends, 12 s of processor time each.
pytestmark = [pytest.mark.ray, pytest.mark.tune, pytest.mark.slow, pytest.mark.timeout(900)]
SETTINGS = '[tuning]\nepochs = 8\nlearning_rate = 0.005\nrank = 8\nvalidation = 0.0\nprecision = "float32"\n'


@pytest.fixture
def make_project(tmp_path):
    sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "tuning"))
    from tiny_llama import make_base, toy_rows

    base = make_base(tmp_path / "base")
    turns = [
        [{"role": "system", "content": "sort"}, {"role": "user", "content": q}, {"role": "assistant", "content": a}]
        for q, a in toy_rows(24)
    ]

    def make(name):
        root = tmp_path / name
        root.mkdir()
        (root / "groundtune.toml").write_text(f'[models]\nbase = "hf:{base}"\n[compare]\nheld_out = 0.0\n{SETTINGS}')
        rows = [json.dumps({"messages": messages}) + "\n" for messages in turns]
        (root / "examples.jsonl").write_text("".join(rows))
        (root / "questions.jsonl").write_text('{"question": "What is it?", "answers": ["red"]}\n')
        return root

    return make


def weights(path):
    from safetensors.numpy import load_file

    return load_file(str(Path(path) / "adapter_model.safetensors"))


def test_a_worker_is_killed_and_the_adapter_is_that_of_a_local_training(cluster, make_project):
    ray, here = make_project("ray"), make_project("here")
    killed = []

    def kill():
        wait_until(lambda: list(ray.rglob("checkpoint-*/trainer_state.json")), 120)
        killed.append(kill_worker("RayTrainWorker"))

    killer = threading.Thread(target=kill)
    killer.start()
    done = Cli(ray).run("tune", "-C", ray, "--engine", "ray", "--address", cluster, "--ray-workers", "2", "--json")
    killer.join()
    assert done.exit_code == 0, done.stderr
    assert killed and "begins again" in done.stderr
    made = json.loads(done.stdout)
    local = Cli(here).json("tune", "-C", here)
    assert made["name"] == local["name"]
    assert made["adapter"]["final_loss"] == pytest.approx(local["adapter"]["final_loss"], rel=0.02)
    ours, theirs = weights(local["adapter"]["path"]), weights(made["adapter"]["path"])
    assert ours.keys() == theirs.keys()
    assert max(abs(ours[name] - theirs[name]).max() for name in ours) < 2e-3
    listed = Cli(ray).json("adapters", "-C", ray)
    assert made["name"] in json.dumps(listed)
    assert [path.name for path in (ray / ".groundtune" / "adapters").iterdir()] == [made["name"]]
    again = Cli(ray).json("tune", "-C", ray, "--engine", "ray", "--address", cluster, "--ray-workers", "2")
    assert again["adapter"] == made["adapter"]


def test_more_workers_than_processors(cluster, make_project):
    root = make_project("many")
    said = Cli(root).fails("tune", "-C", root, "--engine", "ray", "--address", cluster, "--ray-workers", "8", code=2)
    assert re.search(r"\b8\b.*\b2\b", said)
    assert "--curve" in Cli(root).fails("tune", "-C", root, "--engine", "ray", "--curve", code=2)
