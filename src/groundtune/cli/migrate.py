"""``groundtune migrate``: the knowledge base to another store."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path

from groundtune.approaches.setting import KNOWLEDGE
from groundtune.cli.context import State
from groundtune.cli.options import option, verb
from groundtune.cli.pace import Pace
from groundtune.config import Config, RetrievalSection, load_config
from groundtune.files import write_whole
from groundtune.messages import say

_SECTION = re.compile(r"^[ \t]*\[[ \t]*retrieval[ \t]*\][^\n]*$", re.MULTILINE)
_NEXT = re.compile(r"^[ \t]*\[", re.MULTILINE)
_STORE = re.compile(r"^[ \t]*store[ \t]*=[^\n]*$", re.MULTILINE)


@verb("migrate")
@option("--to", required=True, metavar="STORE")
def command(state: State, to: str) -> None:
    """Raises what ``store.migrate.migrate`` does; groundtune.toml is changed last."""
    from groundtune.store.binding import is_embedded, shown
    from groundtune.store.migrate import migrate

    config = state.project().config
    spec = Config(retrieval=RetrievalSection(store=to), folder=config.folder).store  # folders as in groundtune.toml
    moved = migrate(config.state / KNOWLEDGE, spec, Pace())
    store = "" if is_embedded(to) else shown(to)
    path = config.folder / "groundtune.toml"
    set_store(path, store)
    assert load_config(config.folder).retrieval.store == store
    counts = asdict(moved) | {"seconds": f"{moved.seconds:.1f}"}
    key = "back" if is_embedded(to) else "done"
    lines = [say(f"cli.migrate.{key}", **counts)]
    lines += [say("cli.migrate.checked", **counts)] if store else []
    lines += [say("cli.migrate.written", store=store)]
    lines += [say("cli.migrate.secret")] if store and store != to else []
    state.emit({**asdict(moved), "store": store}, "\n".join(lines))


def set_store(path: Path, store: str) -> None:
    """Write ``[retrieval] store`` into groundtune.toml; everything else stays as it is, comments too."""
    text = path.read_text(encoding="utf-8-sig")
    line = f"store = {json.dumps(store, ensure_ascii=False)}"
    section = _SECTION.search(text)
    if section is None:
        write_whole(path, f"{text.rstrip()}\n\n[retrieval]\n{line}\n")
        return
    after = _NEXT.search(text, section.end())
    end = after.start() if after else len(text)
    held = _STORE.search(text, section.end(), end)
    if held:
        write_whole(path, text[: held.start()] + line + text[held.end() :])
    else:
        write_whole(path, f"{text[: section.end()]}\n{line}{text[section.end() :]}")
