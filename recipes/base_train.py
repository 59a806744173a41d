"""Trains ``builtin:base``: tokenizer, then a small Llama on ``base_tasks``. Seeded by step, resumable.

    python recipes/base_train.py --data DATA --out OUT [--minutes 44]

AdamW; the learning rate falls linearly to zero over ``--minutes``. With ``--half`` (a processor with AVX-512) the weights are
bfloat16 with float32 masters. The model that ships was made in three runs (``LOG.md``); ``--start`` goes on from a model.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import time
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812
from base_init import prime
from base_tasks import CLOSE, OPEN, PLAIN, Tasks, chat
from corpus import LANGUAGES
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from groundtune.models.bare import TEMPLATE
from groundtune.text.prompts import Shown, render

SPECIAL = ["<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>"]


def train_tokenizer(tasks: Tasks, size: int, out: Path) -> PreTrainedTokenizerFast:
    """Byte-level BPE on equal amounts of the three languages; digits stand alone."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    rng = random.Random(0)

    def lines():  # type: ignore[no-untyped-def]  # noqa: ANN202
        for lang, budget in (("en", 5_500_000), ("ja", 2_600_000), ("zh-Hant", 2_400_000)):
            texts = [p.text for p in tasks.paragraphs[lang]] + [a.text for a in tasks.articles[lang]]
            rng.shuffle(texts)
            used = 0
            while used < budget:
                for text in texts:
                    used += len(text)
                    yield text
                    if used >= budget:
                        break
        for _ in range(4000):
            yield "".join(text for text, _ in tasks.shaping("en", rng) + tasks.lookup("en", rng))

    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=SPECIAL, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), max_token_length=12
    )
    tokenizer.train_from_iterator(lines(), trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|end|>", pad_token="<|pad|>")
    fast.chat_template = TEMPLATE
    fast.model_max_length = 1024
    fast.save_pretrained(out)
    return fast


@dataclass
class Batch:
    """(rows, width) token ids, weights of predicting each of them and the sample each belongs to; ``asked``: for answers that are
    looked for, (row, position of the last prompt token, first and last token of the sentence to find, first of the question).
    """

    ids: torch.Tensor
    weights: torch.Tensor
    owner: torch.Tensor
    asked: list[tuple[int, int, int, int, int]]


def located(tokenizer: PreTrainedTokenizerFast, text: str) -> tuple[list[int], tuple[int, int, int] | None]:
    """Token ids of ``text`` without its marks, the first and last token between them, and the first of the question behind."""
    low = text.find(OPEN)
    if low < 0:
        return tokenizer(text, add_special_tokens=False)["input_ids"], None
    text = text.replace(OPEN, "")
    high = text.find(CLOSE)
    text = text.replace(CLOSE, "")
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    places = encoded["offset_mapping"]
    inside = [i for i, (a, b) in enumerate(places) if b > low and a < high]
    question = text.rfind("\n\n") + 2
    return encoded["input_ids"], (inside[0], inside[-1], next(i for i, (_, b) in enumerate(places) if b > question))


def batch(tasks: Tasks, tokenizer: PreTrainedTokenizerFast, step: int, rows: int, width: int, early: bool) -> Batch:
    """Samples are packed, none is cut at its start."""
    rng = random.Random(step)
    noise = torch.Generator().manual_seed(step)
    ids = torch.zeros(rows, width, dtype=torch.long)
    weights = torch.zeros(rows, width)
    owner = torch.full((rows, width), -1)
    asked = []
    for row in range(rows):
        filled = misses = 0
        if early and rng.random() < 0.7:
            copies(rng, ids[row], weights[row])
            owner[row] = 0
            continue
        while filled < width - 12 and misses < 10:
            pieces = tasks.sample(rng, early)
            found = [located(tokenizer, text) for text, _ in pieces]
            encoded = [tokens for tokens, _ in found]
            if sum(len(e) for e in encoded) > width - filled:
                misses += 1  # does not fit: try another, so that little of the row stays empty
                continue
            owner[row, filled : filled + sum(map(len, encoded))] = filled
            place = None
            for (tokens, inside), (_, weight) in zip(found, pieces, strict=True):
                if inside:
                    place = tuple(filled + i for i in inside)
                elif place and weight == 1.0:
                    asked.append((row, filled - 1, *place))
                    place = None
                ids[row, filled : filled + len(tokens)] = torch.tensor(tokens)
                if 0 < weight < 1:  # a quarter of the positions at four times the weight: the same in the mean, less work
                    weights[row, filled : filled + len(tokens)] = (torch.rand(len(tokens), generator=noise) < 0.25) * weight * 4
                else:
                    weights[row, filled : filled + len(tokens)] = weight
                    if weight == 1.0:  # where to begin is what has to be learned; the rest is copying
                        weights[row, filled : filled + 3] = 4.0
                filled += len(tokens)
    return Batch(ids, weights, owner, asked)


def copies(rng: random.Random, ids: torch.Tensor, weights: torch.Tensor) -> None:
    """Fill a row with random tokens that come back after a while; only the second time counts."""
    at, width = 0, len(ids)
    while at < width - 10:
        length = min(rng.randrange(4, 40), (width - at) // 2)
        junk = min(rng.randrange(0, 30), width - at - 2 * length)
        first = torch.tensor([rng.randrange(5, 12000) for _ in range(length + junk)])
        ids[at : at + length + junk] = first
        again = at + length + junk
        ids[again : again + length] = first[:length]
        weights[again + 1 : again + length] = 1.0
        at = again + length


class LinearCrossEntropy(torch.autograd.Function):
    """Weighted sum of next-token losses of ``hidden @ weight.T``; gradients are formed chunk by chunk in the forward
    pass, so that the (tokens, vocabulary) matrix never exists as a whole."""

    @staticmethod
    def forward(ctx, hidden, weight, targets, w):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN205
        grad_hidden, grad_weight = torch.empty_like(hidden), torch.zeros(weight.shape, dtype=torch.float32)
        total = 0.0
        for low in range(0, len(targets), 512):
            part = slice(low, low + 512)
            logits = (hidden[part] @ weight.T).float()
            rows = torch.arange(len(logits))
            gold = logits[rows, targets[part]].clone()
            top = logits.max(dim=1, keepdim=True).values
            logits.sub_(top).exp_()
            mass = logits.sum(dim=1, keepdim=True)
            total += float(((mass.log() + top).squeeze(1) - gold).mul(w[part]).sum())
            logits.mul_(w[part].unsqueeze(1) / mass)
            logits[rows, targets[part]] -= w[part]
            grad = logits.to(hidden.dtype)
            grad_hidden[part] = grad @ weight
            grad_weight += (grad.T @ hidden[part]).float()
        ctx.save_for_backward(grad_hidden, grad_weight.to(weight.dtype))
        return torch.tensor(total)

    @staticmethod
    def backward(ctx, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN205
        grad_hidden, grad_weight = ctx.saved_tensors
        return grad_hidden * out.to(grad_hidden.dtype), grad_weight * out.to(grad_weight.dtype), None, None


class Rms(torch.autograd.Function):
    """x / rms(x) over the last dimension in a handful of passes (the library's float32 detour takes a third of a step)."""

    @staticmethod
    def forward(ctx, x, eps):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN205
        r = torch.rsqrt((x * x).sum(-1, keepdim=True, dtype=torch.float32) / x.shape[-1] + eps).to(x.dtype)
        y = x * r
        ctx.save_for_backward(y, r)
        return y

    @staticmethod
    def backward(ctx, dy):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN205
        y, r = ctx.saved_tensors
        c = ((dy * y).sum(-1, keepdim=True, dtype=torch.float32) / y.shape[-1]).to(y.dtype)
        return torch.addcmul(dy, y, c, value=-1) * r, None


class Turn(torch.autograd.Function):
    """Rotary positions on (batch, heads, n, size)."""

    @staticmethod
    def forward(ctx, x, cos, sin):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN205
        ctx.save_for_backward(cos, sin)
        a, b = x.chunk(2, dim=-1)
        return torch.cat([torch.addcmul(a * cos, b, sin, value=-1), torch.addcmul(b * cos, a, sin)], dim=-1)

    @staticmethod
    def backward(ctx, dy):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN205
        cos, sin = ctx.saved_tensors
        a, b = dy.chunk(2, dim=-1)
        return torch.cat([torch.addcmul(a * cos, b, sin), torch.addcmul(b * cos, a, sin, value=-1)], dim=-1), None, None


def hidden_of(model: LlamaForCausalLM, ids: torch.Tensor, owner: torch.Tensor | None = None, seen: dict[int, torch.Tensor] | None = None, entered: dict[int, torch.Tensor] | None = None) -> torch.Tensor:
    """Last hidden states, (batch, n, width): what ``model.model`` computes, in bfloat16 throughout and with fused
    matrices; twice as fast on a CPU. ``owner`` (batch, n) numbers the samples of a packed row. The attention weights of the layers
    that are keys of ``seen`` are put there, what enters those of ``entered`` (without its norm's gain) there. ``tests/unit/models/test_recipes.py`` compares both.
    """
    config, core = model.config, model.model
    heads, size = config.num_attention_heads, config.hidden_size // config.num_attention_heads
    b, n = ids.shape
    x = core.embed_tokens(ids)
    angle = torch.arange(n).float()[:, None] * 10000 ** (-torch.arange(size // 2).float() / (size // 2))
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    hide = torch.full((n, n), -1e4, dtype=x.dtype).triu(1)
    if owner is not None:  # samples of one row do not see each other
        hide = (hide + (owner[:, :, None] != owner[:, None, :]) * -1e4)[:, None].to(x.dtype)
    for index, layer in enumerate(core.layers):
        at, mlp = layer.self_attn, layer.mlp
        w = torch.cat([at.q_proj.weight * size**-0.5, at.k_proj.weight, at.v_proj.weight]) * layer.input_layernorm.weight
        y = Rms.apply(x, config.rms_norm_eps)
        if entered is not None and index in entered:
            entered[index] = y
        qk, v = F.linear(y, w).split([2 * heads * size, heads * size], dim=-1)
        qk = Turn.apply(qk.view(b, n, 2 * heads, size).transpose(1, 2), cos, sin)
        q, k = qk.split(heads, dim=1)
        weight = ((q @ k.transpose(-1, -2)) + hide).softmax(-1)
        if seen is not None and index in seen:
            seen[index] = weight
        mixed = weight @ v.reshape(b, n, heads, size).transpose(1, 2)
        x = x + F.linear(mixed.transpose(1, 2).reshape(b, n, -1), at.o_proj.weight)
        w = torch.cat([mlp.gate_proj.weight, mlp.up_proj.weight]) * layer.post_attention_layernorm.weight
        gate, up = F.linear(Rms.apply(x, config.rms_norm_eps), w).chunk(2, dim=-1)
        x = x + F.linear(F.silu(gate) * up, mlp.down_proj.weight)
    return Rms.apply(x, config.rms_norm_eps) * core.norm.weight


# Guided heads (layer, heads); without guidance nothing of this had appeared after 8 M tokens. A token looks at the beginning of its
# sentence (so it knows which one that is); a token that has stood before, as those of a question have, looks there; and where an
# answer starts, those tokens of the question and the sentence that holds the answer are looked at.
SENTENCE_HEADS, SAME_HEADS, QUESTION_HEADS, ANSWER_HEADS = ((2, (3,)),), ((3, (2, 3)),), ((4, (1,)),), ((5, (0, 1)),)
RARE = 4  # a token that stood more often before says little


def loss_of(model: LlamaForCausalLM, made: Batch, starts: Starts | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    """Weighted next-token loss, logits only where the weight is not zero; and the loss of the guided heads (0 without ``starts``)."""
    seen = {layer: torch.empty(0) for layer, _ in (*SENTENCE_HEADS, *SAME_HEADS, *QUESTION_HEADS, *ANSWER_HEADS)} if starts else None
    hidden = hidden_of(model, made.ids, made.owner, seen)[:, :-1]
    targets, w = made.ids[:, 1:], made.weights[:, 1:]
    used = w > 0
    scaled = w[used] / w[used].sum()
    loss = LinearCrossEntropy.apply(hidden[used], model.lm_head.weight, targets[used], scaled)
    return loss, guidance(seen, made, starts) if seen and starts else torch.tensor(0.0)


class Starts:
    """Where the sentence begins that a token stands in."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        texts = [tokenizer.decode([i]) for i in range(len(tokenizer))]
        self.ends = torch.tensor([t.rstrip(" ")[-1:] in {"。", "！", "？", "\n"} or t in SPECIAL for t in texts])
        self.stops = torch.tensor([t.rstrip(" ")[-1:] in {".", "!", "?"} for t in texts])
        self.spaced = torch.tensor([t[:1] in {" ", "\n"} for t in texts])

    def __call__(self, ids: torch.Tensor) -> torch.Tensor:
        """(rows, width) positions."""
        begins = torch.ones_like(ids, dtype=torch.bool)
        begins[:, 1:] = self.ends[ids[:, :-1]] | (self.stops[ids[:, :-1]] & self.spaced[ids[:, 1:]])
        return torch.where(begins, torch.arange(ids.shape[1]), 0).cummax(1).values


def guidance(seen: dict[int, torch.Tensor], made: Batch, starts: Starts) -> torch.Tensor:
    """Sum over the kinds of guided heads of the mean of -log of the attention that falls where it should."""
    ids, owner = made.ids, made.owner
    at = starts(ids)
    n = ids.shape[1]
    total = torch.tensor(0.0)
    for layer, heads in SENTENCE_HEADS:
        own = seen[layer][:, list(heads)]
        share = own.gather(3, at[:, None, :, None].expand(-1, own.shape[1], -1, -1))
        total = total + short_of_one(share[(owner >= 0)[:, None, :, None].expand_as(share)])
    before = (ids[:, :, None] == ids[:, None, :]) & (owner[:, :, None] == owner[:, None, :]) & torch.ones(n, n, dtype=torch.bool).tril(-1)
    count = before.sum(-1)
    again = (count > 0) & (count <= RARE) & (owner >= 0)
    for layer, heads in SAME_HEADS:
        share = (seen[layer][:, list(heads)] * before[:, None]).sum(-1)
        total = total + short_of_one(share[again[:, None].expand_as(share)])
    if made.asked:
        rows, last, first, final, question = torch.tensor(made.asked).T
        place = torch.arange(n)
        known = (again[rows] & (place >= question[:, None]) & (place < last[:, None]))[:, None]
        some = known.any(-1).squeeze(1)
        for layer, heads in QUESTION_HEADS:
            look = seen[layer][:, list(heads)].transpose(1, 2)[rows, last]
            total = total + short_of_one((look * known).sum(-1)[some])
        wanted = ((place >= first[:, None]) & (place <= final[:, None]))[:, None]
        for layer, heads in ANSWER_HEADS:
            look = seen[layer][:, list(heads)].transpose(1, 2)[rows, last]  # (asked, heads, width)
            total = total + short_of_one((look * wanted).sum(-1))
    return total


def short_of_one(share: torch.Tensor) -> torch.Tensor:
    return -share.float().clamp_min(1e-4).log().mean()


@torch.no_grad()
def grow(model: LlamaForCausalLM, trained: LlamaForCausalLM) -> None:
    """Put the layers of a shallower trained model into ``model``, spread evenly; the layers between them start as the
    identity (their output matrices are zero), so that nothing is forgotten.
    """
    model.model.embed_tokens.load_state_dict(trained.model.embed_tokens.state_dict())
    model.model.norm.load_state_dict(trained.model.norm.state_dict())
    old, new = len(trained.model.layers), len(model.model.layers)
    places = {round((i + 1) * new / old) - 1: i for i in range(old)}
    for index, layer in enumerate(model.model.layers):
        if index in places:
            layer.load_state_dict(trained.model.layers[places[index]].state_dict())
        else:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()


@torch.no_grad()
def probe(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, dev: Tasks, count: int = 60) -> dict[str, list[float]]:
    """Per language: share of dev questions whose sentence is begun rightly (4 tokens, teacher-forced, whole paragraph), chance
    of guessing it, and share of right tokens after them.
    """
    found: dict[str, list[float]] = {}
    for lang in LANGUAGES:
        rng = random.Random(7)
        right = chance = copied = total = 0.0
        for _ in range(count):
            fact = dev.fact(lang, rng)
            joint = " " if lang == "en" else ""
            sentences = [*fact.before, fact.sentence, *fact.after]
            prompt = "".join(t for t, _ in chat(PLAIN[lang], render(fact.question, [Shown(fact.title, joint.join(x.strip() for x in sentences))]), "")[:-1])
            head = tokenizer(prompt, add_special_tokens=False)["input_ids"][-800:]
            tail = tokenizer(fact.sentence.strip() + "<|end|>", add_special_tokens=False)["input_ids"][:120]
            ids = torch.tensor([head + tail])
            guess = (hidden_of(model, ids)[0, len(head) - 1 : -1] @ model.lm_head.weight.T).argmax(-1)
            same = guess == ids[0, len(head) :]
            right += bool(same[:4].all())
            chance += 1 / len(sentences)
            copied += float(same[4:].sum())
            total += len(same) - 4
        found[lang] = [round(right / count, 3), round(chance / count, 3), round(copied / max(1, total), 3)]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=44)
    parser.add_argument("--vocab", type=int, default=12288)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--early", type=float, default=0.04, help="share of the time for copying first")
    parser.add_argument("--tokens", type=int, default=4096)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--start", type=Path, default=None, help="a trained model of the same width to go on from")
    parser.add_argument("--rate", type=float, default=0.0012)
    parser.add_argument("--guide", type=float, default=0.2, help="weight of the loss of the guided heads; 0 leaves them alone")
    parser.add_argument("--half", action="store_true", help="bfloat16 weights; slow without AVX-512 or AMX")
    args = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("THREADS", "1")))
    torch.manual_seed(0)
    args.out.mkdir(parents=True, exist_ok=True)
    tasks, dev = Tasks(args.data), Tasks(args.data, "dev")
    if args.start:
        tokenizer = PreTrainedTokenizerFast.from_pretrained(args.start)
    elif (args.out / "tokenizer.json").exists():
        tokenizer = PreTrainedTokenizerFast.from_pretrained(args.out)
    else:
        tokenizer = train_tokenizer(tasks, args.vocab, args.out)
    config = LlamaConfig(
        vocab_size=args.vocab, hidden_size=args.hidden, intermediate_size=args.hidden * 11 // 4, num_hidden_layers=args.layers,
        num_attention_heads=args.hidden // 64, num_key_value_heads=args.hidden // 64, max_position_embeddings=1024,
        tie_word_embeddings=True, bos_token_id=None, eos_token_id=1, pad_token_id=0, initializer_range=0.02,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    if args.start:
        grow(model, LlamaForCausalLM.from_pretrained(args.start, dtype=torch.float32))
    else:
        prime(model)
    if args.half:
        model.bfloat16()
    starts = Starts(tokenizer) if args.guide else None
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters", flush=True)
    named = list(model.named_parameters())
    model.train()
    masters = [p.detach().float().clone() for _, p in named]
    matrix = [m for (n, p), m in zip(named, masters, strict=True) if p.ndim == 2 and "embed" not in n]
    other = [m for (n, p), m in zip(named, masters, strict=True) if p.ndim != 2 or "embed" in n]
    optimizers = [torch.optim.AdamW(matrix, lr=args.rate, betas=(0.9, 0.98), weight_decay=0.01), torch.optim.AdamW(other, lr=args.rate * 0.5, betas=(0.9, 0.98), eps=3e-6, weight_decay=0.0)]
    base_rates = [[g["lr"] for g in o.param_groups] for o in optimizers]
    state = {"step": 0, "seconds": 0.0, "tokens": 0}
    checkpoint = args.out / "checkpoint.pt"
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=False)
        state = saved["state"]
        for m, s in zip(masters, saved["masters"], strict=True):
            m.copy_(s)
        for o, s in zip(optimizers, saved["optimizers"], strict=True):
            o.load_state_dict(s)
        with torch.no_grad():
            for (_, p), m in zip(named, masters, strict=True):
                p.copy_(m)
    budget = args.minutes * 60
    log = (args.out / "log.jsonl").open("a")
    last, losses = time.time(), []
    last_saved = state["seconds"]
    while state["seconds"] < budget:
        done = state["seconds"] / budget
        scale = min(1.0, (state["step"] + 1) / 120) * min(1.0, (1 - done) / 0.75)
        for o, rates in zip(optimizers, base_rates, strict=True):
            for g, r in zip(o.param_groups, rates, strict=True):
                g["lr"] = r * max(scale, 0.005)
        early = done < args.early
        width = args.width * 2 if state["step"] % 4 == 3 and not early else args.width  # attention is dear on a CPU
        made = batch(tasks, tokenizer, state["step"], args.tokens // width, width, early)
        loss, guided = loss_of(model, made, starts)
        (loss + args.guide * guided).backward()
        with torch.no_grad():
            norm = torch.sqrt(sum(p.grad.float().pow(2).sum() for _, p in named))
            clip = min(1.0, 1.0 / (float(norm) + 1e-6))
            for (_, p), m in zip(named, masters, strict=True):
                m.grad = p.grad.float() * clip
                p.grad = None
        for o in optimizers:
            o.step()
        with torch.no_grad():
            for (_, p), m in zip(named, masters, strict=True):
                p.copy_(m)
        losses.append((float(loss.detach()), float(guided.detach())))
        now = time.time()
        state["seconds"] += now - last
        last = now
        state["step"] += 1
        state["tokens"] += int((made.ids > 0).sum())
        if state["step"] % 50 == 0:
            entry = {"step": state["step"], "minutes": round(state["seconds"] / 60, 1), "tokens": state["tokens"], "loss": round(sum(a for a, _ in losses) / len(losses), 4), "guided": round(sum(b for _, b in losses) / len(losses), 3)}
            losses = []
            if state["step"] % 200 == 0:
                model.eval()
                entry["probe"] = probe(model, tokenizer, dev)
                model.train()
            print(json.dumps(entry), flush=True)
            log.write(json.dumps(entry) + "\n")
            log.flush()
        if state["seconds"] - last_saved > 240 or state["seconds"] >= budget:
            last_saved = state["seconds"]
            torch.save({"state": state, "masters": masters, "optimizers": [o.state_dict() for o in optimizers]}, args.out / "checkpoint.tmp")
            os.replace(args.out / "checkpoint.tmp", checkpoint)
            model.save_pretrained(args.out / "model")
            tokenizer.save_pretrained(args.out / "model")


if __name__ == "__main__":
    main()
