"""``groundtune serve``: the chosen approach behind an OpenAI-compatible API, a web page, or MCP."""

from __future__ import annotations

import os
import sys

from groundtune import __version__, registry
from groundtune.cli.ask import require_documents
from groundtune.cli.context import State
from groundtune.cli.options import Number, OneOf, option, verb
from groundtune.config import APPROACHES
from groundtune.errors import UserError
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
def command(
    state: State, host: str, port: int, approach: str | None, model: str | None, feedback: bool, mcp: bool
) -> None:
    """Listens on this computer only unless told otherwise, and then asks for a token."""
    token = os.environ.get("GROUNDTUNE_TOKEN", "")
    if host not in _LOOPBACK and not token and not mcp:
        raise UserError("serve.needs_token", host=host)
    if not mcp:
        try:
            import uvicorn

            from groundtune.serve.app import create_app
        except ModuleNotFoundError as error:
            raise registry.missing(error, "groundtune serve") from error
    service = make_service(state.project().with_model(model), approach, feedback, token)
    if mcp:
        from groundtune.serve.mcp import Server

        Server(service, __version__).run(sys.stdin, sys.stdout)
        return
    hosts = ("*",) if host not in _LOOPBACK else ("localhost", "127.0.0.1", host)
    state.talk(say("serve.listening", approach=service.answerer.name, host=host, port=port))
    uvicorn.run(create_app(service, hosts), host=host, port=port, log_level="warning", lifespan="off")


def make_service(project: Project, approach: str | None, feedback: bool, token: str) -> Service:
    """``approach``, else the winner of the last verdict, else RAG with the reader."""
    require_documents(project)
    run = project.latest()
    winner = run.winner() if run else None
    chosen = approach or winner
    answerer = project.approach(chosen) if chosen else Quoting(project)
    path = project.config.state / "feedback.jsonl" if feedback else None
    return Service(answerer, project.kb, project.config.project.name, path, token)
