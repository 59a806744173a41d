"""Getting a model for Ollama: progress over all layers, failures."""

import json
from typing import Any

import pytest
from local_server import LocalServer, Reply, closed_port_url

from groundtune.errors import ModelUnreachable, SpecError
from groundtune.models.ollama_pull import PullProgress, pull


def lines(*objects: Any) -> Reply:
    return Reply("".join(json.dumps(one) + "\n" for one in objects).encode())


def test_progress_adds_up_the_layers() -> None:
    told: list[PullProgress] = []
    reply = lines(
        {"status": "pulling manifest"},
        {"status": "pulling a", "digest": "sha256:a", "total": 100},
        {"status": "pulling a", "digest": "sha256:a", "total": 100, "completed": 60},
        {"status": "pulling b", "digest": "sha256:b", "total": 50, "completed": 50},
        {"status": "pulling a", "digest": "sha256:a", "total": 100, "completed": 100},
        {"status": "success"},
    )
    with LocalServer([reply]) as server:
        pull("qwen3:4b", host=server.url, on_progress=told.append)
    assert server.seen[0].path == "/api/pull"
    assert server.seen[0].body == {"model": "qwen3:4b", "stream": True}
    assert [(one.done, one.total) for one in told] == [(0, 0), (0, 100), (60, 100), (110, 150), (150, 150), (150, 150)]
    assert told[-1].status == "success"


@pytest.mark.parametrize(
    "reply",
    [
        lines({"status": "pulling manifest"}, {"error": "pull model manifest: file does not exist"}),
        lines({"status": "x"}),
    ],
)
def test_a_pull_that_fails_is_a_sentence(reply: Reply) -> None:
    with LocalServer([reply]) as server:
        with pytest.raises(ModelUnreachable) as caught:
            pull("nothing", host=server.url)
    assert caught.value.key == "models.ollama_pull_failed" and "nothing" in str(caught.value)


def test_nobody_there_and_no_name() -> None:
    with pytest.raises(ModelUnreachable) as caught:
        pull("m", host=closed_port_url())
    assert caught.value.key == "models.ollama_down"
    with pytest.raises(SpecError):
        pull("")
