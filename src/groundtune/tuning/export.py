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
from collections.abc import Callable, Mapping, Sequence
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
from groundtune.tuning.export_ollama import LONGEST_CONTEXT, Turns, modelfile, take_apart
from groundtune.tuning.export_source import Source, open_source
from groundtune.tuning.gguf import KIND_OF, KINDS, write_gguf
from groundtune.tuning.gguf_words import writes_begin
from groundtune.tuning.quiet import quiet
from groundtune.tuning.rows import template_text
from groundtune.types import Adapter, Message

FORMS = ("safetensors", "gguf", "ollama", "vllm")
NOTE = "export.json"
_TORCH = {kind: name for name, kind in KIND_OF.items()}


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
    with quiet("groundtune export"):
        source = open_source(order.base, order.adapter.path if order.adapter else None)
    form = replace(order.form, whole=_whole(source, order.form))
    order.out.parent.mkdir(parents=True, exist_ok=True)
    work = order.out.with_name(f".{order.out.name}.part")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    try:
        tell("write")
        with quiet("groundtune export"):
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
    """What a writer left: the type of the weights, what the README says about serving them, and the chat template where
    it was translated.
    """

    kind: str
    facts: Mapping[str, str] = field(default_factory=dict)
    turns: Turns | None = None


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
    return _Written(KIND_OF[dtype])


def _gguf(order: Order, source: Source, work: Path) -> _Written:
    file = f"{order.name}.gguf"
    facts = {
        "base": order.base,
        "adapter": order.adapter.digest if order.adapter else "",
        "approach": order.form.approach,
    }
    kind = write_gguf(source, work / file, name=order.name, kind=order.kind, facts=facts)
    return _Written(kind, {"file": file, "context": str(min(source.context, LONGEST_CONTEXT))})


def _ollama(order: Order, source: Source, work: Path) -> _Written:
    turns = take_apart(source)
    written = _gguf(order, source, work)
    begin = writes_begin(source.tokenizer)
    text = modelfile(source, turns, written.facts["file"], adds_begin=begin, system=order.form.system)
    write_whole(work / "Modelfile", text)
    return replace(written, turns=turns)


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
    return replace(found, template=_template(order, source, written.turns)) if written.turns else found


def _template(order: Order, source: Source, turns: Turns) -> int:
    """Chats that the Modelfile's template writes exactly as the source's own template does."""
    same = 0
    for chat in order.chats:
        own = template_text(source.tokenizer, [message.as_dict() for message in chat], add_generation_prompt=True)
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


def _replace(work: Path, out: Path) -> None:
    """Put the finished folder in the place of an older export."""
    old = out.with_name(f".{out.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if out.exists():
        out.rename(old)
    work.rename(out)
    shutil.rmtree(old, ignore_errors=True)


def chats_of(texts: Sequence[str], system: str = "") -> tuple[tuple[Message, ...], ...]:
    """Single questions as chats, under ``system`` when there is one."""
    head = (Message("system", system),) if system else ()
    return tuple((*head, Message("user", text)) for text in texts)
