"""``groundtune examples``: bring training data in, look at it, clean it, split it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from groundtune.cli.context import State, columns, find_start, free
from groundtune.cli.groups import group
from groundtune.cli.options import Number, argument, option
from groundtune.errors import DataError, GroundtuneError, MissingExtra, TrainingError
from groundtune.messages import say
from groundtune.tuning.convert import Columns
from groundtune.tuning.data import load_examples
from groundtune.tuning.importing import NEAR, Imported, import_file, write_examples
from groundtune.tuning.near import near_across
from groundtune.tuning.private import Redactor, count_kinds, scan_example
from groundtune.tuning.split import split_examples
from groundtune.tuning.survey import Spread, Survey, survey
from groundtune.types import Example

_SHOWN = 20


@group("examples")
def command(state: State) -> None:
    """Without a sub-verb: the help."""
    click.echo(click.get_current_context().get_help())


@command.verb("import")
@argument("file")
@option("--out", metavar="FILE", default=None)
@option("--force", is_flag=True)
@option("--input", "input_column", metavar="NAME", default="")
@option("--target", "target_column", metavar="NAME", default="")
@option("--system", "system_column", metavar="NAME", default="")
@option("--document", "document_column", metavar="NAME", default="")
@option("--encoding", metavar="NAME", default="")
@option("--last-turn", is_flag=True)
@option("--near", is_flag=True)
def import_(
    state: State, file: str, out: str | None, force: bool, input_column: str, target_column: str, system_column: str,
    document_column: str, encoding: str, last_turn: bool, near: bool,
) -> None:  # fmt: skip
    """Any common form to the project's examples file."""
    target = free(Path(out) if out else _examples_path(state), force, Path(file))
    wanted = Columns(input_column, target_column, system_column, document_column)
    found = import_file(file, wanted, every_turn=not last_turn, encoding=encoding, near=NEAR if near else None)
    write_examples(target, found.examples)
    dropped = [{"line": p.line, "reason": p.key, "sentence": p.sentence()} for p in found.dropped]
    notes = [{"line": n.line, "note": n.key, "sentence": n.sentence()} for n in found.notes]
    table = {"out": target, "rows": found.rows, "examples": len(found.examples), "formats": found.formats,
             "dropped": dropped, "notes": notes}  # fmt: skip
    state.emit(table, _imported(found, target, "" if out is None else f" {target}"))


@command.verb("stats")
@argument("file", required=False)
@option("--base", metavar="SPEC", default=None)
def stats(state: State, file: str | None, base: str | None) -> None:
    """Numbers that a person can read."""
    examples = load_examples(file or _examples_path(state))
    tokenizer = _tokenizer(state, base)
    try:
        found = survey(examples, tokenizer)
    except GroundtuneError as error:  # an example that the template cannot write: lint says which, counting goes on
        state.talk(error.sentence())
        found = survey(examples)
    state.emit(found, _described(found))


@command.verb("scan")
@argument("file", required=False)
@option("--redact", is_flag=True)
@option("--out", metavar="FILE", default=None)
@option("--force", is_flag=True)
def scan(state: State, file: str | None, redact: bool, out: str | None, force: bool) -> None:
    """Personal data and secrets; exit code 1 when there are any and nothing was redacted."""
    source = Path(file) if file else _examples_path(state)
    examples = load_examples(source)
    counts = count_kinds(examples)
    hits = [(e, hit) for e in examples for hit in scan_example(e)]
    table: dict[str, object] = {
        "counts": counts,
        "findings": [{"id": e.id, "line": e.metadata["line"], "kind": hit.kind, "shown": hit.shown} for e, hit in hits],
    }  # fmt: skip
    lines = [say("cli.examples.scanned", examples=len(examples), count=len(hits))]
    lines += [
        f"  - {say('cli.lint.line', line=e.metadata['line'])}: {say(f'tuning.kind.{hit.kind}')} {hit.shown}"
        for e, hit in hits[:_SHOWN]
    ]
    if len(hits) > _SHOWN:
        lines.append(f"    {say('cli.lint.more', count=len(hits) - _SHOWN)}")
    if redact:
        target = free(Path(out) if out else source.with_name(f"{_stem(source)}.redacted.jsonl"), force, source)
        redactor = Redactor()
        write_examples(target, [redactor.example(example) for example in examples])
        table["out"] = target
        lines.append(say("cli.examples.redacted", path=target))
    state.emit(table, "\n".join(lines))
    if hits and not redact:
        raise SystemExit(1)


@command.verb("split")
@argument("file", required=False)
@option("--held-out", type=Number(float, 0.01, 0.9), default=0.15)
@option("--seed", type=Number(int, 0), default=0)
@option("--out", metavar="FOLDER", default=None)
@option("--force", is_flag=True)
def split(state: State, file: str | None, held_out: float, seed: int, out: str | None, force: bool) -> None:
    """Training and held-out files that share no document, no conversation and no near-duplicate."""
    source = Path(file) if file else _examples_path(state)
    examples = load_examples(source)
    parts = split_examples(examples, held_out, seed)
    if not parts.held_out:
        raise DataError("cli.examples.cannot_split", count=len(examples))
    leaking = {pair.second for pair in near_across(_asked(parts.train), _asked(parts.held_out))}
    train = tuple(example for index, example in enumerate(parts.train) if index not in leaking)
    folder = Path(out) if out else source.parent
    paths = [free(folder / f"{_stem(source)}.{name}.jsonl", force, source) for name in ("train", "held-out")]
    for path, part in zip(paths, (train, parts.held_out), strict=True):
        write_examples(path, part)
    table = {"train": paths[0], "held_out": paths[1], "train_examples": len(train), "held_out_examples": len(parts.held_out),
             "duplicates": parts.duplicates, "leaks_removed": len(leaking), "grouped_by": parts.grouped_by}  # fmt: skip
    sentence = say(
        f"cli.examples.split_{parts.grouped_by}", train=len(train), held_out=len(parts.held_out),
        duplicates=parts.duplicates, leaks=len(leaking), train_path=paths[0], held_out_path=paths[1],
    )  # fmt: skip
    state.emit(table, sentence)


@command.verb("leaks")
@argument("train")
@argument("held_out")
def leaks(state: State, train: str, held_out: str) -> None:
    """Training examples that a held-out file would test; exit code 1 when there are any."""
    trained, held = load_examples(train), load_examples(held_out)
    pairs = near_across(_asked(trained), _asked(held))
    rows = [
        {"line": trained[p.second].metadata["line"], "other_line": held[p.first].metadata["line"],
         "similarity": p.similarity, "sentence": say(
             "cli.examples.leak", line=trained[p.second].metadata["line"], other=held[p.first].metadata["line"],
             similarity=f"{p.similarity:.0%}")}
        for p in pairs
    ]  # fmt: skip
    lines = [say("cli.examples.leaked", count=len(rows), examples=len(trained))]
    lines += [f"  - {row['sentence']}" for row in rows[:_SHOWN]]
    if len(rows) > _SHOWN:
        lines.append(f"    {say('cli.lint.more', count=len(rows) - _SHOWN)}")
    state.emit({"leaks": rows}, "\n".join(lines))
    if rows:
        raise SystemExit(1)


def _asked(examples: tuple[Example, ...]) -> list[str]:
    return [example.input for example in examples]


def _examples_path(state: State) -> Path:
    """The project's examples file; ``examples.jsonl`` here without a project."""
    if find_start(state.folder) is None:
        return Path("examples.jsonl")
    config = state.project().config
    return config.path(config.project.examples)


def _stem(path: Path) -> str:
    return path.name.removesuffix(".gz").removesuffix(".jsonl")


def _tokenizer(state: State, base: str | None) -> Any:  # noqa: ANN401
    """The base model's tokenizer, None (said on stderr) when there is none here."""
    from groundtune.tuning.lora import load_tokenizer

    spec = base
    if spec is None:
        spec = state.project().config.models.base if find_start(state.folder) is not None else "builtin:base"
        if spec.partition(":")[0] not in ("builtin", "hf"):
            return None
    try:
        return load_tokenizer(spec)
    except (MissingExtra, TrainingError) as error:
        if base is not None:
            raise
        state.talk(error.sentence())
        return None


def _imported(found: Imported, target: Path, named: str) -> str:
    """``named`` is the file as the next command needs it: nothing for the project's own."""
    formats = ", ".join(f"{name} ({count})" for name, count in found.formats.items())
    lines = [say("cli.examples.imported", examples=len(found.examples), rows=found.rows, path=target, formats=formats)]
    if found.dropped:
        lines.append(say("cli.examples.dropped", count=len(found.dropped)))
        lines += [f"  - {say('tuning.line.at', line=p.line, problem=p.sentence())}" for p in found.dropped[:_SHOWN]]
        if len(found.dropped) > _SHOWN:
            lines.append(f"    {say('cli.lint.more', count=len(found.dropped) - _SHOWN)}")
    changed: dict[str, list[int]] = {}
    for note in found.notes:
        changed.setdefault(note.key, []).append(note.line)
    for key, numbers in changed.items():
        shown = ", ".join(map(str, numbers[:8])) + (", …" if len(numbers) > 8 else "")
        lines.append(say("cli.examples.changed", sentence=say(f"tuning.note.{key}"), count=len(numbers), lines=shown))
    return "\n".join([*lines, say("cli.examples.next", file=named)])


def _described(found: Survey) -> str:
    count = found.examples
    unit = say("cli.examples.tokens" if found.exact else "cli.examples.units")
    rows = [
        (say("cli.examples.row_examples"), str(count)),
        (say("cli.examples.row_turns"), _shares({str(k): v for k, v in sorted(found.turns.items())}, count)),
        (say("cli.examples.row_length", unit=unit), _spread(found.tokens)),
        (say("cli.examples.row_answers", unit=unit), _spread(found.answers)),
        (say("cli.examples.row_languages"), _shares(found.languages, count)),
        (say("cli.examples.row_forms"),
         _shares({say(f"tuning.kind.{k}").strip(): v for k, v in found.forms.items()}, count)),
        (say("cli.examples.row_systems"), str(found.systems)),
        (say("cli.examples.row_documents"), str(found.documents)),
        (say("cli.examples.row_duplicates"), f"{found.duplicates} / {found.near_duplicates}"),
        (say("cli.examples.row_same"), f"{found.same_answer} ({found.same_answer / count:.0%})"),
        (say("cli.examples.row_private"),
         ", ".join(f"{say(f'tuning.kind.{k}')} {v}" for k, v in found.private.items()) or "0"),
    ]  # fmt: skip
    return columns((say("cli.examples.head_what"), say("cli.examples.head_value")), rows)


def _spread(spread: Spread) -> str:
    return f"p50 {spread.p50}, p95 {spread.p95}, max {spread.longest} (Σ {spread.total})"


def _shares(counts: Any, total: int) -> str:  # noqa: ANN401 - a mapping of names to counts
    return ", ".join(f"{name} {count} ({count / total:.0%})" for name, count in counts.items())
