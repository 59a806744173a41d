"""``groundtune serve``: the chosen approach behind an OpenAI-compatible API, a web page, or MCP."""

from __future__ import annotations

import os
import sys

from groundtune import __version__, registry
from groundtune.cli.ask import as_reader, require_documents
from groundtune.cli.context import State
from groundtune.cli.options import Number, OneOf, option, verb
from groundtune.config import APPROACHES
from groundtune.errors import ConfigError, UserError
from groundtune.messages import say
from groundtune.project import Project, Quoting
from groundtune.serve.service import Service

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@verb("serve")
@option("--host", default="127.0.0.1", show_default=True)
@option("--port", type=Number(int, 1, 65535), default=8000, show_default=True)
@option("--approach", type=OneOf(APPROACHES), default=None)
@option("--model", metavar="SPEC", default=None)
@option("--feedback", is_flag=True)
@option("--mcp", is_flag=True)
@option("--as", "reader", metavar="LABELS", default="")
def command(
    state: State, host: str, port: int, approach: str | None, model: str | None, feedback: bool, mcp: bool, reader: str
) -> None:
    """Listens on this computer only unless told otherwise, and then asks for a token. Documents with access labels are
    left out unless ``--as`` or a reader's token brings one of them.
    """
    token = os.environ.get("GROUNDTUNE_TOKEN", "")
    if host not in _LOOPBACK and not token and not mcp:
        raise UserError("serve.needs_token", host=host)
    if not mcp:
        try:
            import uvicorn

            from groundtune.serve.app import create_app
        except ModuleNotFoundError as error:
            raise registry.missing(error, "groundtune serve") from error
    project = state.project().with_model(model)
    require_documents(project)
    seen = as_reader(state, project, reader)
    if hidden := len(project.documents()) - len(seen.documents()):
        state.talk(say("cli.serve.left_out", count=hidden))
    service = make_service(seen, approach, feedback, token)
    if mcp:
        from groundtune.serve.mcp import Server

        Server(service, __version__).run(sys.stdin, sys.stdout)
        return
    readers = make_readers(project, approach, feedback)
    hosts = ("*",) if host not in _LOOPBACK else ("localhost", "127.0.0.1", host)
    state.talk(say("serve.listening", approach=service.answerer.name, host=host, port=port))
    uvicorn.run(create_app(service, hosts, readers), host=host, port=port, log_level="warning", lifespan="off")


def make_service(project: Project, approach: str | None, feedback: bool, token: str) -> Service:
    """``approach``, else the winner of the last verdict, else RAG with the reader."""
    run = project.latest()
    winner = run.winner() if run else None
    chosen = approach or winner
    answerer = project.approach(chosen) if chosen else Quoting(project)
    path = project.config.state / "feedback.jsonl" if feedback else None
    return Service(answerer, project.kb, project.config.project.name, path, token)


def make_readers(project: Project, approach: str | None, feedback: bool) -> tuple[Service, ...]:
    """One service per reader of ``[access] readers``. Raises ``ConfigError`` for a line that cannot be read and
    ``UserError`` for an environment variable without a token.
    """
    services: list[Service] = []
    for line in project.config.access.readers:
        variable, mark, labels = (part.strip() for part in line.partition("="))
        if not mark or not variable:
            raise ConfigError("knowledge.bad_rule", rule=line)
        token = os.environ.get(variable, "")
        if not token:
            raise UserError("cli.serve.no_reader_token", variable=variable)
        services.append(make_service(project.seen_by(labels), approach, feedback, token))
    return tuple(services)
