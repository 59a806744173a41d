"""What is exported: the base model with its adapter merged in, the tokenizer with the template that was trained with, and
every token that ends an answer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groundtune.errors import TrainingError
from groundtune.registry import missing
from groundtune.text.normalise import squeeze
from groundtune.tuning.adapter_files import end_tokens, token_ids
from groundtune.tuning.base import base_path
from groundtune.tuning.loading import load_tokenizer
from groundtune.tuning.rows import special_tokens, template_text

LARGE = 200_000_000  # parameters; smaller models are written in float32, so that nothing of the adapter is rounded away
_WHOLE = 1_000_000_000  # parameters; up to here the adapter is merged in float32, as it is when it answers
_MARK = "GTANSWER"


@dataclass(frozen=True)
class Source:
    """A merged transformers model in evaluation mode. ``ends`` are the ids of all tokens that end an answer, the one of
    the chat template first; ``dtype`` is the torch name of the type that weights are written in by default.
    """

    model: Any
    tokenizer: Any
    ends: tuple[int, ...]
    dtype: str

    @property
    def end_texts(self) -> tuple[str, ...]:
        """The end tokens as text."""
        return tuple(str(self.tokenizer.convert_ids_to_tokens(number)) for number in self.ends)

    @property
    def template(self) -> str:
        """The chat template without the marks that only training needs."""
        return plain_template(str(self.tokenizer.chat_template))

    @property
    def context(self) -> int:
        """Tokens that the model reads at most."""
        config = self.model.config.get_text_config()
        limit = getattr(config, "max_position_embeddings", None) or 10**9
        return int(min(limit, self.tokenizer.model_max_length or limit))


def open_source(base: str, adapter: str | Path | None = None) -> Source:
    """Load ``base`` (``builtin:…`` or ``hf:…``), merge the PEFT folder ``adapter``.

    Raises ``TrainingError`` for a base that cannot be read here, an adapter that does not fit it, or a model without a
    chat template; ``MissingExtra`` without the tune extra.
    """
    path = base_path(base)
    try:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer
    except ModuleNotFoundError as error:
        raise missing(error, "groundtune export") from error
    try:
        model = AutoModelForCausalLM.from_pretrained(path, dtype="auto")
        stored = str(model.dtype).removeprefix("torch.")
        size = model.num_parameters()
        model = model.float() if size <= _WHOLE else model
        tokenizer = load_tokenizer(base)
        if adapter is not None:
            own = (Path(adapter) / "tokenizer_config.json").is_file()
            template = tokenizer.chat_template
            tokenizer = AutoTokenizer.from_pretrained(str(adapter)) if own else tokenizer
            tokenizer.chat_template = tokenizer.chat_template or template
            model = _merged(model, Path(adapter))
    except (OSError, ValueError, RuntimeError) as error:
        reason = squeeze(str(error))[:200] or type(error).__name__
        raise TrainingError("tuning.base_unreadable", base=base, reason=reason) from error
    if not isinstance(tokenizer.chat_template, str):
        raise TrainingError("tuning.no_template")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.requires_grad_(False)
    return Source(model.eval(), tokenizer, _ends(model, tokenizer, adapter), "float32" if size <= LARGE else stored)


def plain_template(template: str) -> str:
    """Without ``{% generation %}`` marks: they are an extension of transformers that other programs refuse."""
    return re.sub(r"\{%-?\s*(?:end)?generation\s*-?%\}", "", template)


def _merged(model: Any, adapter: Path) -> Any:  # noqa: ANN401
    from peft import PeftModel

    return PeftModel.from_pretrained(model, str(adapter)).merge_and_unload(safe_merge=True)


def _ends(model: Any, tokenizer: Any, adapter: str | Path | None) -> tuple[int, ...]:  # noqa: ANN401
    """The token after an answer in the chat template, those of both generation settings, the tokenizer's own."""
    found = [*_after_answer(tokenizer), *token_ids(getattr(model.generation_config, "eos_token_id", None))]
    if adapter is not None:
        found += end_tokens(Path(adapter))
    found += token_ids(tokenizer.eos_token_id)
    return tuple(dict.fromkeys(found))


def _after_answer(tokenizer: Any) -> list[int]:  # noqa: ANN401
    turns = [{"role": "user", "content": "x"}, {"role": "assistant", "content": _MARK}]
    try:
        after = template_text(tokenizer, turns).rpartition(_MARK)[2].lstrip()
    except TrainingError:
        return []
    tokens = [token for token in special_tokens(tokenizer) if token and after.startswith(token)]
    return [int(tokenizer.convert_tokens_to_ids(max(tokens, key=len)))] if tokens else []
