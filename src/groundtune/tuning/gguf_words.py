"""A Hugging Face byte-level BPE tokenizer as GGUF knows it: tokens, their kinds, merges, and the id of the regular
expression that cuts text before the merges.

The id is decided by what ``tokenizer.json`` says, never by a model's name: llama.cpp refuses an unknown id, and a wrong
one gives other tokens without a word. Equivalents as in llama.cpp's ``llama-vocab.cpp`` (September 2026).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from groundtune.errors import TrainingError

NORMAL, CONTROL, USER_DEFINED, UNUSED = 1, 3, 4, 5  # token types of the GGUF specification
_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
PATTERNS = {_SPLIT % "{1,3}": "llama-bpe", _SPLIT % "": "qwen2"}


@dataclass(frozen=True)
class Words:
    """Tokens by id, their GGUF types, merges as ``left right``, ``pre`` the id of the pre-tokenizer. ``bos``, ``eos``,
    ``pad`` are ids or None; ``adds_bos``: the tokenizer itself puts ``bos`` before a text.
    """

    tokens: tuple[str, ...]
    types: tuple[int, ...]
    merges: tuple[str, ...]
    pre: str
    bos: int | None
    eos: int | None
    pad: int | None
    adds_bos: bool


def read_words(tokenizer: Any, size: int) -> Words:  # noqa: ANN401 - a fast transformers tokenizer
    """The vocabulary of ``size`` ids. Raises ``TrainingError`` for a tokenizer that is no byte-level BPE of a known kind."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise TrainingError("tuning.gguf_tokenizer", kind=type(tokenizer).__name__)
    table = json.loads(backend.to_str())
    model = table["model"]
    normal = (table.get("normalizer") or {}).get("type", "NFC")  # llama.cpp leaves NFC to whoever writes the text
    if model.get("type") != "BPE" or model.get("byte_fallback") or normal != "NFC":
        raise TrainingError("tuning.gguf_tokenizer", kind=_kind(table))
    added = {int(row["id"]): row for row in table.get("added_tokens", ())}
    names: dict[int, str] = {int(number): token for token, number in model["vocab"].items()}
    names |= {number: row["content"] for number, row in added.items()}
    tokens = tuple(names.get(number, f"[PAD{number}]") for number in range(size))
    merges = tuple(merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"])
    return Words(
        tokens=tokens,
        types=tuple(_type(number, names, added) for number in range(size)),
        merges=merges,
        pre=pre_of(table),
        bos=tokenizer.bos_token_id,
        eos=tokenizer.eos_token_id,
        pad=tokenizer.pad_token_id,
        adds_bos=writes_begin(tokenizer),
    )


def writes_begin(tokenizer: Any) -> bool:  # noqa: ANN401
    """Whether the tokenizer itself puts the begin token before a text."""
    begin = list(tokenizer("").get("input_ids", ()))
    return bool(begin) and begin[0] == tokenizer.bos_token_id


def pre_of(table: Mapping[str, Any]) -> str:
    """The pre-tokenizer id for a ``tokenizer.json``. Raises ``TrainingError`` when llama.cpp has none that is the same."""
    steps = _steps(table.get("pre_tokenizer"))
    last = steps[-1] if steps else {}
    if last.get("type") != "ByteLevel" or last.get("add_prefix_space"):
        raise TrainingError("tuning.gguf_tokenizer", kind=_kind(table))
    before, own = steps[:-1], bool(last.get("use_regex", True))
    if not before and own:
        return "gpt-2"
    if len(before) == 1 and before[0].get("type") == "Digits" and before[0].get("individual_digits") and own:
        return "smollm"
    if len(before) == 1 and before[0].get("type") == "Split" and not own:
        found = PATTERNS.get((before[0].get("pattern") or {}).get("Regex", ""))
        if found and before[0].get("behavior") == "Isolated":
            return found
    raise TrainingError("tuning.gguf_tokenizer", kind=_kind(table))


def build_tokenizer(words: Words) -> Any:  # noqa: ANN401
    """A ``tokenizers`` tokenizer from nothing but what a GGUF file holds."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers

    vocabulary = {token: number for number, token in enumerate(words.tokens) if words.types[number] == NORMAL}
    merges = [(left, right) for left, _, right in (merge.partition(" ") for merge in words.merges)]
    # every id must stand in the vocabulary: an added token that is there keeps its id
    vocabulary |= {token: number for number, token in enumerate(words.tokens) if words.types[number] != NORMAL}
    ignore = words.pre == "llama-bpe"
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, ignore_merges=ignore))
    pattern = next((regex for regex, name in PATTERNS.items() if name == words.pre), None)
    level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=pattern is None)
    before: list[Any] = [pre_tokenizers.Digits(individual_digits=True)] if words.pre == "smollm" else []
    before += [pre_tokenizers.Split(Regex(pattern), "isolated")] if pattern else []
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*before, level])
    tokenizer.decoder = decoders.ByteLevel()
    marked = [(number, kind) for number, kind in enumerate(words.types) if kind in (CONTROL, USER_DEFINED)]
    tokenizer.add_special_tokens([AddedToken(words.tokens[n], normalized=False) for n, k in marked if k == CONTROL])
    tokenizer.add_tokens([AddedToken(words.tokens[n], normalized=False) for n, k in marked if k == USER_DEFINED])
    return tokenizer


def _type(number: int, names: Mapping[int, str], added: Mapping[int, Mapping[str, Any]]) -> int:
    if number in added:
        return CONTROL if added[number].get("special") else USER_DEFINED
    return NORMAL if number in names else UNUSED


def _steps(node: Mapping[str, Any] | None) -> Sequence[Mapping[str, Any]]:
    if not node:
        return ()
    return list(node.get("pretokenizers", ())) if node.get("type") == "Sequence" else [node]


def _kind(table: Mapping[str, Any]) -> str:
    steps = "+".join(str(step.get("type")) for step in _steps(table.get("pre_tokenizer"))) or "-"
    return f"{table['model'].get('type')} / {steps}"
