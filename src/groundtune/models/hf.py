"""Hugging Face causal language models (``hf:folder`` or ``hf:owner/name``), with an optional PEFT adapter."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from groundtune.errors import ModelError, ModelRefused, SpecError
from groundtune.models import llama
from groundtune.models.choose import Chooser
from groundtune.models.embed import HuggingFaceEmbedder
from groundtune.models.grammar import Grammar, Matcher
from groundtune.models.http import clean
from groundtune.models.hub import Loaded, load
from groundtune.models.spoken import Growing
from groundtune.types import Generation, Message, Usage

_ENDS_OF_TURN = ("<|im_end|>", "<|eot_id|>", "<|end|>", "<end_of_turn>", "<|end_of_turn|>", "<turn|>", "<|return|>")


def open_model(
    name: str,
    *,
    adapter: str | Path | None = None,
    threads: int | None = None,
    dtype: str | None = None,
    device: str | None = None,
    truncate: bool = False,
    thinking: bool = False,
) -> HuggingFaceModel:
    """A causal language model from a local folder or the hub (this computer's cache first).

    ``adapter`` is a PEFT folder; it is merged into the weights, and its tokenizer and chat template are used when it has
    them. ``dtype`` is a torch name (default: float32 up to 10^9 parameters on a CPU, as stored otherwise). ``truncate``
    drops the oldest tokens of a prompt that is too long instead of refusing it.
    Raises ``MissingExtra``, ``ModelUnreachable`` (not there) or ``ModelError`` (cannot be loaded).
    """
    if not name:
        raise SpecError("models.name_missing", provider="hf", example="hf:Qwen/Qwen3-0.6B")
    loaded = load(name, adapter=adapter, dtype=dtype, device=device)
    template = {"enable_thinking": thinking}
    return HuggingFaceModel(f"hf:{name}", loaded, threads=threads, truncate=truncate, template=template)


def open_embedder(name: str, *, device: str | None = None, query: str = "", document: str = "") -> HuggingFaceEmbedder:
    """An embedding model: sentence-transformers when installed, a mean-pooled ``AutoModel`` otherwise. ``query`` and
    ``document`` are prefixes that some models want (``query: `` for E5).
    """
    if not name:
        raise SpecError("models.name_missing", provider="hf", example="hf:intfloat/multilingual-e5-small")
    return HuggingFaceEmbedder(name, device=device, query=query, document=document)


class HuggingFaceModel:
    """A ``Model`` over a transformers model. Small Llama models on the CPU are decoded by ``LeanLlama``, all others by
    ``generate``. Calls are serialised by a lock.

    Without a chat template the chat is written as ``System: …``, ``User: …``, ``Assistant:`` paragraphs, and an answer
    ends at the next ``User:`` line.
    """

    def __init__(
        self,
        name: str,
        loaded: Loaded,
        *,
        threads: int | None = None,
        truncate: bool = False,
        lean: bool = True,
        template: Mapping[str, object] | None = None,
    ) -> None:
        self.name = name
        model, tokenizer = loaded.model, loaded.tokenizer
        self.model, self.tokenizer = model, tokenizer
        self.threads, self.truncate = threads, truncate
        self.template_options = dict(template or {})
        self.stop = _stop_tokens(model, tokenizer)
        self.limit = _context(model, tokenizer)
        self._lean = llama.LeanLlama(model) if lean and llama.fits(model) else None
        self._grammar: Grammar | None = None
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"HuggingFaceModel({self.name!r})"

    def generate(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int = 256,
        temperature: float = 0.0,
        seed: int = 0,
        schema: Mapping[str, Any] | None = None,
    ) -> Generation:
        """Write the next assistant turn. Raises ``ModelRefused`` when the prompt does not fit."""
        batch = [messages]
        return self.generate_many(batch, max_tokens=max_tokens, temperature=temperature, seed=seed, schema=schema)[0]

    def generate_many(
        self,
        batch: Sequence[Sequence[Message]],
        *,
        max_tokens: int = 256,
        temperature: float = 0.0,
        seed: int = 0,
        schema: Mapping[str, Any] | None = None,
    ) -> list[Generation]:
        """One generation per chat, computed together: what ``generate`` gives for each (up to the rounding of sums of
        another shape). ``seconds`` is the time of the whole batch divided by its size.
        """
        return self._written(batch, max_tokens, temperature, seed, schema) if batch else []

    def stream(
        self,
        messages: Sequence[Message],
        on_text: Callable[[str], None],
        *,
        max_tokens: int = 256,
        temperature: float = 0.0,
        seed: int = 0,
        schema: Mapping[str, Any] | None = None,
    ) -> Generation:
        """``generate`` that tells its text as it comes. ``on_text`` is called while other calls wait."""
        growing = Growing(on_text)
        plain = not self.tokenizer.chat_template

        def heard(tokens: list[int]) -> None:
            text = self.tokenizer.decode(tokens, skip_special_tokens=True)
            # the answer may end at the next "User:" line, whose beginning must not be told
            growing.show(text.partition("\nUser:")[0].rpartition("\n")[0] if plain else text)

        made = self._written([messages], max_tokens, temperature, seed, schema, heard)[0]
        growing.finish(made.text)
        return made

    def _written(
        self,
        batch: Sequence[Sequence[Message]],
        max_tokens: int,
        temperature: float,
        seed: int,
        schema: Mapping[str, Any] | None,
        heard: Callable[[list[int]], None] | None = None,
    ) -> list[Generation]:
        started = time.perf_counter()
        with self._lock, self._using_threads():
            prompts = [self._fit(self.encode(messages), max_tokens) for messages in batch]
            steps = [max(1, min(max_tokens, self.limit - len(prompt))) for prompt in prompts]
            matchers = [self._matcher(schema) for _ in batch] if schema is not None else []
            chooser = Chooser(steps, stop=self.stop, temperature=temperature, seed=seed, matchers=matchers, heard=heard)
            run = self._lean.decode if self._lean else self._run
            cached = run(prompts, chooser, steps)
        seconds = (time.perf_counter() - started) / len(batch)
        return [
            self._generation(len(prompt), tokens, finished, seconds, reused)
            for prompt, tokens, finished, reused in zip(prompts, chooser.outputs, chooser.finished, cached, strict=True)
        ]

    def encode(self, messages: Sequence[Message]) -> list[int]:
        """Token ids of the chat, ready for the assistant's turn."""
        if not self.tokenizer.chat_template:
            return list(self.tokenizer(_plain(messages))["input_ids"])
        return list(self.tokenizer(self._templated(messages), add_special_tokens=False)["input_ids"])

    def _templated(self, messages: Sequence[Message]) -> str:
        options: dict[str, Any] = {"add_generation_prompt": True, "tokenize": False, **self.template_options}
        chat = [message.as_dict() for message in messages]
        try:
            return str(self.tokenizer.apply_chat_template(chat, **options))
        except Exception as error:  # jinja2's TemplateError; some templates refuse a system turn
            if len(chat) < 2 or chat[0]["role"] != "system":
                raise ModelError("models.hf_broken", name=self.name, reason=clean(error)) from error
        head = {"role": chat[1]["role"], "content": f"{chat[0]['content']}\n\n{chat[1]['content']}"}
        return str(self.tokenizer.apply_chat_template([head, *chat[2:]], **options))

    def _fit(self, ids: list[int], max_tokens: int) -> list[int]:
        if len(ids) < self.limit:
            return ids
        if not self.truncate:
            raise ModelRefused("models.too_long", tokens=len(ids), model=self.name, limit=self.limit)
        return ids[-max(1, self.limit - min(max_tokens, self.limit // 4)) :]

    def _matcher(self, schema: Mapping[str, Any]) -> Matcher:
        if self._grammar is None:
            self._grammar = Grammar(self.tokenizer, self.model.config.get_text_config().vocab_size, sorted(self.stop))
        return self._grammar.matcher(schema)

    def _generation(self, read: int, tokens: list[int], finished: bool, seconds: float, cached: int) -> Generation:
        text = self.tokenizer.decode(tokens, skip_special_tokens=True)
        if not self.tokenizer.chat_template and "\nUser:" in text:
            text, finished = text.partition("\nUser:")[0], True
        usage = Usage(read, len(tokens) + finished, cached)
        return Generation(text.strip(), usage, seconds, self.name, finished)

    def _run(self, prompts: Sequence[Sequence[int]], chooser: Chooser, steps: Sequence[int]) -> list[int]:
        """Decode with transformers' ``generate``, which knows every architecture's cache; ``chooser`` picks the tokens."""
        import torch
        from transformers import GenerationConfig, LogitsProcessorList, StoppingCriteriaList

        width = max(len(prompt) for prompt in prompts)
        pad = self.tokenizer.pad_token_id if self.tokenizer.pad_token_id is not None else min(self.stop, default=0)
        ids = torch.tensor([[pad] * (width - len(p)) + list(p) for p in prompts], device=self.model.device)
        mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts], device=self.model.device)

        def force(_: Any, scores: Any) -> Any:  # noqa: ANN401
            chosen = torch.tensor(chooser(scores) or [pad] * len(scores), device=scores.device)
            return torch.full_like(scores, float("-inf")).scatter_(1, chosen[:, None], 0.0)

        def done(seen: Any, _: Any, **__: Any) -> Any:  # noqa: ANN401
            return torch.full((len(seen),), chooser.done, device=seen.device, dtype=torch.bool)

        config = GenerationConfig(do_sample=False, max_new_tokens=max(steps), pad_token_id=pad, use_cache=True)
        with torch.inference_mode():
            self.model.generate(
                ids,
                attention_mask=mask,
                generation_config=config,
                logits_processor=LogitsProcessorList([force]),
                stopping_criteria=StoppingCriteriaList([done]),
            )
        return [0 for _ in prompts]

    @contextmanager
    def _using_threads(self) -> Iterator[None]:
        """Torch's thread count for the length of a call; it is a setting of the whole process."""
        import torch

        before = torch.get_num_threads()
        if self.threads is None or self.threads == before:
            yield
            return
        torch.set_num_threads(self.threads)
        try:
            yield
        finally:
            torch.set_num_threads(before)


def _plain(messages: Sequence[Message]) -> str:
    turns = [f"{message.role.capitalize()}: {message.content}" for message in messages]
    return "\n\n".join([*turns, "Assistant:"])


def _stop_tokens(model: Any, tokenizer: Any) -> frozenset[int]:  # noqa: ANN401
    """End-of-sequence ids of the generation settings and the tokenizer, and end-of-turn tokens of known templates."""
    ends = getattr(model.generation_config, "eos_token_id", None)
    found = set(ends if isinstance(ends, list) else [ends]) | {tokenizer.eos_token_id}
    special = set(tokenizer.all_special_tokens)
    added = tokenizer.get_added_vocab()
    found |= {added[token] for token in _ENDS_OF_TURN if token in added or token in special and token in added}
    return frozenset(int(token) for token in found if token is not None)


def _context(model: Any, tokenizer: Any) -> int:  # noqa: ANN401
    """Tokens that the model reads at most (prompt and answer together)."""
    limit = getattr(model.config.get_text_config(), "max_position_embeddings", None) or 10**9
    return int(min(limit, tokenizer.model_max_length or limit))
