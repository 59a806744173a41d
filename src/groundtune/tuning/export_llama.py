"""An exported GGUF file run by llama.cpp where the package ``xllamacpp`` is installed (it brings llama.cpp with its server as
a wheel, nothing is compiled); else read back and run by groundtune itself.
"""

from __future__ import annotations

import importlib.util
import json
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from groundtune.ports import Model
from groundtune.types import Generation, Message, Usage

LLAMA, OWN = "xllamacpp", "own-forward"


def open_gguf(path: Path, engine: str = "") -> tuple[Model, str]:
    """The model in a file, greedy, and what runs it: ``LLAMA`` or ``OWN``. ``engine`` asks for one of them."""
    found = engine or (LLAMA if importlib.util.find_spec(LLAMA) else OWN)
    if found == LLAMA:
        return Xllamacpp(path), LLAMA
    from groundtune.tuning.gguf_read import GgufModel

    return GgufModel(path), OWN


class Xllamacpp:
    """Fills ``ports.Model`` over ``xllamacpp``, which brings llama.cpp's own server; ``address`` is where it listens on
    this computer. Greedy, with the chat template and the end tokens of the file.
    """

    def __init__(self, path: Path) -> None:
        import xllamacpp

        settings = xllamacpp.CommonParams()
        settings.model.path = str(path)
        settings.model_alias = {path.stem}
        settings.n_ctx, settings.n_parallel, settings.n_gpu_layers = 0, 1, 0
        settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = 1
        settings.port, settings.use_jinja, settings.verbosity = 0, True, 0
        # what is checked is the file: keys and values are kept in full precision (llama.cpp halves them otherwise, which
        # turns an answer now and then), and every prompt is read from its beginning, whatever was asked before
        settings.cache_type_k = settings.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
        settings.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
        settings.warmup = settings.fit_params = settings.cache_prompt = settings.ui = False
        self.name = f"llama.cpp:{path.name}"
        self._server = xllamacpp.Server(settings)
        self.address = str(self._server.listening_address)

    def encode(self, messages: Sequence[Message]) -> list[int]:
        """Token ids of the chat, ready for the assistant's turn."""
        prompt = self._post("/apply-template", {"messages": [message.as_dict() for message in messages]})["prompt"]
        told = self._post("/tokenize", {"content": prompt, "add_special": False, "parse_special": True})
        return [int(token) for token in told["tokens"]]

    def generate(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int = 256,
        temperature: float = 0.0,
        seed: int = 0,
        schema: Mapping[str, Any] | None = None,
    ) -> Generation:
        """The greedy answer; the other settings are not used."""
        chat = [message.as_dict() for message in messages]
        reply = self._server.handle_chat_completions({"messages": chat, "temperature": 0.0, "max_tokens": max_tokens})
        return _generation(reply, self.name)

    def _post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        request = urllib.request.Request(
            self.address + path, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        here = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy cannot reach this computer
        with here.open(request, timeout=60) as answer:
            told: dict[str, Any] = json.loads(answer.read())
        return told


def _generation(reply: Mapping[str, Any], name: str) -> Generation:
    choice, usage = reply["choices"][0], reply["usage"]
    used = Usage(int(usage["prompt_tokens"]), int(usage["completion_tokens"]))
    text = (choice["message"]["content"] or "").strip()
    return Generation(text, used, 0.0, name, choice["finish_reason"] != "length")
