"""The guard of tests/conftest.py holds: no test leaves this computer, sees a key or takes more than one thread."""

import os
import socket
import urllib.error
import urllib.request

import pytest
from local_server import LocalServer, Reply

ADDRESSES = ["8.8.8.8", "example.com", "2001:4860:4860::8888", "169.254.169.254"]


@pytest.fixture(autouse=True)
def only_without_live(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--live"):
        pytest.skip("--live lifts the guard")


@pytest.mark.parametrize("host", ADDRESSES)
def test_connections_are_blocked(host: str) -> None:
    with pytest.raises(OSError, match="--live"):
        socket.create_connection((host, 80), timeout=1)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as raw, pytest.raises(OSError, match="--live"):
        raw.connect((host, 80))
    with socket.socket(family) as raw, pytest.raises(OSError, match="--live"):
        raw.connect_ex((host, 80))


def test_clients_see_a_network_error() -> None:
    with pytest.raises(urllib.error.URLError, match="--live"):
        urllib.request.urlopen("http://example.com", timeout=1)


def test_this_computer_is_allowed() -> None:
    with LocalServer([Reply({"ok": True})]) as server:
        for url in (server.url, server.url.replace("127.0.0.1", "localhost")):
            with urllib.request.urlopen(url, timeout=5) as response:
                assert response.status == 200


def test_no_keys_and_one_thread() -> None:
    assert not [name for name in os.environ if name.endswith("_API_KEY") and name.startswith(("OPENAI", "G"))]
    assert os.environ["HF_HUB_OFFLINE"] == "1"
    assert os.environ["OMP_NUM_THREADS"] == "1"


@pytest.mark.tune
def test_torch_keeps_to_one_thread() -> None:
    import torch

    assert torch.get_num_threads() == 1
