"""What holds for every test: no network beyond this computer, no keys, one thread, markers that skip with a reason."""

from __future__ import annotations

import importlib.util
import ipaddress
import os
import socket
import sys
from collections.abc import Iterator

import pytest

_KEYS = (
    "OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "GROUNDTUNE_API_KEY", "GEMINI_API_KEY",
    "GOOGLE_API_KEY", "GOOGLE_GENAI_USE_VERTEXAI", "ANTHROPIC_API_KEY", "PINECONE_API_KEY", "WEAVIATE_API_KEY",
    "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "OLLAMA_HOST", "GROUNDTUNE_LANG", "ANTHROPIC_BASE_URL",
    "GOOGLE_GEMINI_BASE_URL",
)  # fmt: skip
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class NetworkBlocked(OSError):
    """A test tried to leave this computer."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--live", action="store_true", help="let tests use the network and the keys of the environment")


def pytest_configure(config: pytest.Config) -> None:
    os.environ.update({name: "1" for name in _THREADS})
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    if config.getoption("--live"):
        return
    for name in _KEYS:
        os.environ.pop(name, None)
    # programs that tests start inherit these; the guard below only holds in this process
    os.environ.update(HF_HUB_OFFLINE="1", HF_HUB_DISABLE_TELEMETRY="1", NO_PROXY="localhost,127.0.0.1,::1")
    _block_network(config)


def _is_local(host: object) -> bool:
    if host is None or host in ("", b"", "localhost", b"localhost"):
        return True
    text = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host)
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return text.endswith(".localhost")
    return address.is_loopback or address.is_unspecified


def _block_network(config: pytest.Config) -> None:
    connect, connect_ex, getaddrinfo = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo

    def check(host: object) -> None:
        if not _is_local(host):
            raise NetworkBlocked(f"a test tried to reach {host!r}; run with --live to allow it")

    def guarded_connect(self: socket.socket, address: object) -> None:
        if self.family != socket.AF_UNIX:
            check(address[0])  # type: ignore[index]
        return connect(self, address)  # type: ignore[arg-type]

    def guarded_connect_ex(self: socket.socket, address: object) -> int:
        if self.family != socket.AF_UNIX:
            check(address[0])  # type: ignore[index]
        return connect_ex(self, address)  # type: ignore[arg-type]

    def guarded_getaddrinfo(host: object, *args: object, **kwargs: object) -> object:
        check(host)
        return getaddrinfo(host, *args, **kwargs)  # type: ignore[arg-type]

    patch = pytest.MonkeyPatch()
    patch.setattr(socket.socket, "connect", guarded_connect)
    patch.setattr(socket.socket, "connect_ex", guarded_connect_ex)
    patch.setattr(socket, "getaddrinfo", guarded_getaddrinfo)
    config.add_cleanup(patch.undo)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    absent = [name for name in ("torch", "transformers", "peft") if importlib.util.find_spec(name) is None]
    for item in items:
        if absent and item.get_closest_marker("tune"):
            item.add_marker(pytest.mark.skip(reason=f"needs the tune extra ({', '.join(absent)} not installed)"))
        if importlib.util.find_spec("xllamacpp") is None and item.get_closest_marker("llama"):
            item.add_marker(pytest.mark.skip(reason="needs the llama extra (xllamacpp not installed)"))
        if not os.environ.get("GROUNDTUNE_DATA") and item.get_closest_marker("real"):
            item.add_marker(pytest.mark.skip(reason="needs the development data: set GROUNDTUNE_DATA to its folder"))
        if item.get_closest_marker("gpu") and not _has_gpu():
            item.add_marker(pytest.mark.skip(reason="needs an accelerator"))


def _has_gpu() -> bool:
    if importlib.util.find_spec("torch") is None:
        return False
    import torch

    return bool(torch.cuda.is_available())


@pytest.fixture(autouse=True)
def _one_torch_thread() -> Iterator[None]:
    """Many test runs share the machine: torch, once something imported it, keeps to one thread."""
    torch = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "set_num_threads") and torch.get_num_threads() != 1:
        torch.set_num_threads(1)
    yield


@pytest.fixture(autouse=True)
def _no_language_left_behind() -> Iterator[None]:
    """A command that a test runs in this process sets the language of the process."""
    from groundtune import messages

    token = messages._current.set("")
    yield
    messages._current.reset(token)
