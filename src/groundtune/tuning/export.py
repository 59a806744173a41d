"""A trained adapter (or a base model) as files that serve elsewhere, each checked against the model it was made from.

``safetensors``: the merged model as transformers, vLLM and TGI load it. ``gguf``: one file for llama.cpp and LM Studio.
``ollama``: that file with a Modelfile. ``vllm``: the PEFT adapter beside its base, to be loaded at run time.
An export appears whole or not at all, with a README and ``export.json`` that say what it was trained for, how it wants to
be asked, where its answers end, what was measured, and whether it answers as its source does.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from groundtune import registry
from groundtune.errors import DataError, TrainingError
from groundtune.files import write_whole
from groundtune.ports import Model
from groundtune.tuning import export_folders
from groundtune.tuning.export_card import PromptForm, readme
from groundtune.tuning.export_check import Verified, verify
from groundtune.tuning.export_llama import open_gguf
from groundtune.tuning.export_ollama import modelfile, take_apart
from groundtune.tuning.export_source import Source, open_source
from groundtune.tuning.gguf import KINDS, write_gguf
from groundtune.tuning.rows import template_text
from groundtune.types import Adapter, Message

FORMS = ("safetensors", "gguf", "ollama", "vllm")
NOTE = "export.json"
_TORCH = {"f32": "float32", "f16": "float16", "bf16": "bfloat16"}


@dataclass(frozen=True)
class Order:
    """What to export: ``adapter`` over ``base`` (None: the base alone) into the folder ``out`` under ``name``. ``kind`` is
    the type of the weights (empty: chosen), ``form`` how the model wants to be asked, ``chats`` the held-out prompts that
    source and export are compared on, ``scores`` what was measured with the adapter.
    """

    to: str
    base: str
    out: Path
    name: str
    chats: tuple[tuple[Message, ...], ...]
    adapter: Adapter | None = None
    kind: str = ""
    form: PromptForm = PromptForm()
    scores: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Export:
    """What was written. ``files`` are paths below ``path``; ``stops`` the texts that end an answer."""

    to: str
    name: str
    path: str
    base: str
    adapter: str
    approach: str
    kind: str
    stops: tuple[str, ...]
    verified: Verified
    files: tuple[str, ...] = ()
    bytes: int = 0
    seconds: float = 0.0
    created: str = ""


def export(order: Order, say_step: Callable[[str], None] | None = None) -> Export:
    """Write and verify. ``say_step`` hears ``open``, ``write``, ``verify`` as they begin.

    Raises ``TrainingError`` for what cannot be exported in this form, ``DataError`` when ``out`` holds something else,
    ``MissingExtra`` without the tune or export extra.
    """
    started = time.monotonic()
    tell = say_step or (lambda _: None)
    _check(order)
    tell("open")
    with _quiet():
        source = open_source(order.base, order.adapter.path if order.adapter else None)
    form = replace(order.form, whole=_whole(source, order.form))
    order.out.parent.mkdir(parents=True, exist_ok=True)
    work = order.out.with_name(f".{order.out.name}.part")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    try:
        tell("write")
        with _quiet():
            written = _WRITERS[order.to](order, source, work)
        tell("verify")
        verified = _verified(order, source, work, written)
        made = _made(order, source, work, written, verified)
        made = replace(made, seconds=time.monotonic() - started)
        write_whole(work / "README.md", readme(made, form, order.scores, written.facts))
        note = {"version": 1, **asdict(made), "prompt": asdict(form), "scores": dict(order.scores)}
        del note["path"]  # an export can be moved
        write_whole(work / NOTE, json.dumps(note, ensure_ascii=False, indent=1) + "\n")
        _replace(work, order.out)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return made


@dataclass(frozen=True)
class _Written:
    """What a writer left: the type of the weights, and what the README says about serving them."""

    kind: str
    facts: Mapping[str, str] = field(default_factory=dict)


def _check(order: Order) -> None:
    if order.to not in FORMS:
        raise DataError("tuning.export_form", form=order.to, known=", ".join(FORMS))
    if order.kind and order.kind not in KINDS:
        raise DataError("tuning.export_kind", kind=order.kind, known=", ".join(KINDS))
    if order.kind == "q8_0" and order.to == "safetensors" or order.kind and order.to == "vllm":
        raise DataError("tuning.export_kind_form", kind=order.kind, form=order.to)
    if order.to == "vllm" and order.adapter is None:
        raise DataError("tuning.export_no_adapter")
    if order.out.exists() and not (order.out / NOTE).is_file() and (order.out.is_file() or any(order.out.iterdir())):
        raise DataError("tuning.export_taken", path=order.out)


def _safetensors(order: Order, source: Source, work: Path) -> _Written:
    dtype = _TORCH[order.kind] if order.kind else source.dtype
    export_folders.write_merged(source, work, dtype)
    return _Written(next(kind for kind, name in _TORCH.items() if name == dtype))


def _gguf(order: Order, source: Source, work: Path) -> _Written:
    file = f"{order.name}.gguf"
    facts = {
        "base": order.base,
        "adapter": order.adapter.digest if order.adapter else "",
        "approach": order.form.approach,
    }
    kind = write_gguf(source, work / file, name=order.name, kind=order.kind, facts=facts)
    return _Written(kind, {"file": file, "context": str(min(source.context, 8192))})


def _ollama(order: Order, source: Source, work: Path) -> _Written:
    turns = take_apart(source)
    written = _gguf(order, source, work)
    begin = source.tokenizer("").get("input_ids") == [source.tokenizer.bos_token_id]
    text = modelfile(source, turns, written.facts["file"], adds_begin=begin, system=order.form.system)
    write_whole(work / "Modelfile", text)
    return written


def _vllm(order: Order, source: Source, work: Path) -> _Written:
    assert order.adapter is not None  # checked before
    rank, base = export_folders.write_adapter(source, Path(order.adapter.path), order.base, work)
    return _Written("lora", {"rank": str(rank), "base": base})


_WRITERS: Mapping[str, Callable[[Order, Source, Path], _Written]] = {
    "safetensors": _safetensors, "gguf": _gguf, "ollama": _ollama, "vllm": _vllm,
}  # fmt: skip


def _verified(order: Order, source: Source, work: Path, written: _Written) -> Verified:
    options: dict[str, Any] = {"adapter": order.adapter.path} if order.adapter else {}
    answering: Model = registry.load("model", order.base, **options)
    if order.to == "safetensors":
        return verify(answering, registry.load("model", f"hf:{work}"), order.chats, "transformers")
    if order.to == "vllm":
        base = f"hf:{work / written.facts['base']}" if order.base.startswith("builtin:") else order.base
        loaded = registry.load("model", base, adapter=str(work / export_folders.ADAPTER))
        return verify(answering, loaded, order.chats, "peft")
    loaded, how = open_gguf(work / written.facts["file"])
    found = verify(answering, loaded, order.chats, how)
    return replace(found, template=_template(order, source)) if order.to == "ollama" else found


def _template(order: Order, source: Source) -> int:
    """Chats that the Modelfile's template writes exactly as the source's own template does."""
    turns = take_apart(source)
    same = 0
    for chat in order.chats:
        own = source.tokenizer.apply_chat_template(
            [message.as_dict() for message in chat], tokenize=False, add_generation_prompt=True
        )
        same += turns.write(chat) == own
    return same


def _made(order: Order, source: Source, work: Path, written: _Written, verified: Verified) -> Export:
    files = sorted(path for path in work.rglob("*") if path.is_file())
    return Export(
        to=order.to,
        name=order.name,
        path=str(order.out),
        base=order.base,
        adapter=Path(order.adapter.path).name if order.adapter else "",
        approach=order.form.approach,
        kind=written.kind,
        stops=source.end_texts,
        verified=verified,
        files=tuple(sorted(["README.md", NOTE, *(path.relative_to(work).as_posix() for path in files)])),
        bytes=sum(path.stat().st_size for path in files),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _whole(source: Source, form: PromptForm) -> str:
    turns = [{"role": "system", "content": form.system}] if form.system else []
    try:
        return template_text(
            source.tokenizer, [*turns, {"role": "user", "content": form.user}], add_generation_prompt=True
        )
    except TrainingError:  # a template that takes no system turn
        return ""


@contextmanager
def _quiet() -> Iterator[None]:
    """No progress bars and notices of libraries between our own lines."""
    import warnings

    try:
        from transformers.utils import logging
    except ModuleNotFoundError as error:
        raise registry.missing(error, "groundtune export") from error
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(verbosity)


def _replace(work: Path, out: Path) -> None:
    """Put the finished folder in the place of an older export."""
    old = out.with_name(f".{out.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if out.exists():
        out.rename(old)
    work.rename(out)
    shutil.rmtree(old, ignore_errors=True)


def chats_of(texts: Sequence[str], system: str) -> tuple[tuple[Message, ...], ...]:
    """Single questions as chats, under ``system`` when there is one."""
    head = (Message("system", system),) if system else ()
    return tuple((*head, Message("user", text)) for text in texts)
