"""The README of an export, in the language in use: what the model was trained for, how it wants to be asked, where its
answers end, what was measured with it, whether it answers as its source does, and the commands that serve it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from groundtune.messages import say
from groundtune.tuning.export_check import Verified

if TYPE_CHECKING:
    from groundtune.tuning.export import Export

_FENCE = "```"


@dataclass(frozen=True)
class PromptForm:
    """How a model wants to be asked. ``approach`` it was trained for (empty: a base model), ``system`` prompt, ``user``:
    a user turn with placeholders, ``whole``: both as the chat template writes them, ready for the answer.
    """

    approach: str = ""
    system: str = ""
    user: str = "{question}"
    whole: str = ""


def readme(made: Export, form: PromptForm, scores: Mapping[str, float], facts: Mapping[str, str]) -> str:
    """Markdown. ``facts`` are what the writer found out for serving (file, context, rank, base)."""
    approach = {"finetune": "finetune", "rag+finetune": "hybrid"}.get(
        form.approach, "other" if made.adapter else "base"
    )
    adapter = say("tuning.export.with_adapter", adapter=made.adapter) if made.adapter else ""
    lines = [
        f"# {made.name}", "",
        say("tuning.export.made", base=made.base, adapter=adapter, date=made.created[:10], kind=made.kind), "",
        say(f"tuning.export.for_{approach}"), "",
        f"## {say('tuning.export.asking')}", "",
    ]  # fmt: skip
    if form.system:
        lines += [say("tuning.export.system"), "", _FENCE, form.system, _FENCE, ""]
    lines += [say("tuning.export.user"), "", _FENCE, form.user, _FENCE, ""]
    if form.whole:
        lines += [say("tuning.export.whole"), "", _FENCE, form.whole, _FENCE, ""]
    stops = ", ".join(f"`{stop}`" for stop in made.stops) or "-"
    lines += [say("tuning.export.stops", stops=stops), "", f"## {say('tuning.export.measured')}", ""]
    lines += [f"- {name}: {value:.3f}" for name, value in sorted(scores.items())] or [say("tuning.export.unmeasured")]
    lines += ["", f"## {say('tuning.export.checked')}", "", verdict(made.verified), ""]
    lines += [f"## {say('tuning.export.serving')}", "", f"{_FENCE}sh", *_commands(made, facts), _FENCE]
    return "\n".join(lines) + "\n"


def verdict(found: Verified) -> str:
    """One or two sentences on a verification."""
    parts = [
        say(
            "tuning.export.same" if found.good else "tuning.export.unlike",
            same=found.same,
            prompts=found.prompts,
            how=say(f"tuning.export.how_{found.how.replace('-', '_')}"),
        )
    ]
    if found.tokens is not None and found.tokens < found.prompts:
        parts.append(say("tuning.export.tokens_unlike", count=found.prompts - found.tokens))
    if found.skipped:
        parts.append(say("tuning.export.skipped", count=found.skipped))
    return " ".join(parts)


def _commands(made: Export, facts: Mapping[str, str]) -> list[str]:
    name = made.name
    if made.to == "safetensors":
        return [f"vllm serve . --served-model-name {name}", f"groundtune compare --model hf:{made.path}"]
    if made.to == "gguf":
        file, context = facts["file"], facts["context"]
        return [f"llama-server --model {file} --alias {name} --ctx-size {context} --temp 0"]
    if made.to == "ollama":
        return [f"ollama create {name} -f Modelfile", f"ollama run {name}"]
    return [
        f"vllm serve {facts['base']} --enable-lora --lora-modules {name}=./adapter --max-lora-rank {facts['rank']} \\",
        "  --chat-template ./adapter/chat_template.jinja --generation-config ./adapter",
    ]
