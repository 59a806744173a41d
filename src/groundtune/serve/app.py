"""The HTTP service: OpenAI-compatible chat completions, the documents behind the citations, a web page, feedback.

``POST /v1/chat/completions`` · ``GET /v1/models`` · ``POST /v1/feedback`` · ``GET /documents/{id}`` · ``GET /healthz`` ·
``GET /`` · ``GET /advise``. With a token everything but the pages and ``/healthz`` asks for ``Authorization: Bearer``.
"""

from __future__ import annotations

import hmac
import json
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from groundtune.errors import DataError, GroundtuneError, ModelError
from groundtune.messages import LANGUAGES, catalogue, language, say
from groundtune.serve import advice, feedback, live, openai
from groundtune.serve.service import Service
from groundtune.types import Answer, Question

_WEB = Path(__file__).parent / "web"
_LARGEST = 1_000_000  # bytes of a request body
_POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'self'"  # noqa: E501
_HEADERS = {"Content-Security-Policy": _POLICY, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
Handler = Callable[[Request], Awaitable[Response]]


def create_app(
    service: Service, hosts: Sequence[str] = ("localhost", "127.0.0.1"), readers: Sequence[Service] = ()
) -> Starlette:
    """The ASGI application. Requests for other ``hosts`` are refused, so that no web page elsewhere can reach a
    service on this computer by DNS rebinding; ``*`` allows all. ``readers`` are what the holders of other tokens get:
    each has its own ``token`` and sees what its library lets it see.
    """
    desk = _Desk(service, readers)
    guarded = desk.guarded
    routes = [
        Route("/", desk.page),
        Route("/app.js", desk.asset),
        Route("/style.css", desk.asset),
        Route("/strings.json", desk.strings),
        Route("/advise", desk.advise),
        Route("/healthz", desk.health),
        Route("/v1/models", guarded(desk.models)),
        Route("/v1/chat/completions", guarded(desk.chat), methods=["POST"]),
        Route("/v1/feedback", guarded(desk.feedback), methods=["POST"]),
        Route("/documents/{id:path}", guarded(desk.document)),
    ]
    return Starlette(routes=routes, middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts))])


class _Desk:
    """The handlers of one service."""

    def __init__(self, service: Service, readers: Sequence[Service] = ()) -> None:
        self.service = service
        self.readers = tuple(reader for reader in readers if reader.token)
        self.created = int(time.time())
        self.language = language()

    def guarded(self, handler: Handler) -> Handler:
        """Ask for the token and turn errors into bodies that OpenAI's clients understand."""

        async def run(request: Request) -> Response:
            service = self._service_for(request)
            if service is None:
                headers = {"WWW-Authenticate": "Bearer"}
                body = openai.error_body(say("serve.token"), "authentication_error", "invalid_api_key")
                return JSONResponse(body, 401, headers)
            request.state.service = service
            try:
                return await handler(request)
            except DataError as error:
                return JSONResponse(openai.error_body(error.sentence(), "invalid_request_error"), 400)
            except GroundtuneError as error:
                status = 502 if isinstance(error, ModelError) else 500
                return JSONResponse(openai.error_body(error.sentence(), "api_error", error.kind), status)
            except ClientDisconnect:
                return Response(status_code=499)

        return run

    def _service_for(self, request: Request) -> Service | None:
        """What the bearer of this token may use; None: nothing."""
        given = request.headers.get("authorization", "").encode()
        for service in (self.service, *self.readers):
            if service.token and hmac.compare_digest(given, f"Bearer {service.token}".encode()):
                return service
        # Without readers a token that nobody asked for is ignored, as OpenAI's clients always send one.
        return None if self.service.token or (given and self.readers) else self.service

    async def chat(self, request: Request) -> Response:
        asked = openai.read_request(await _body(request))
        if asked.model not in self.service.models:
            known = ", ".join(self.service.models)
            message = say("serve.unknown_model", name=asked.model, known=known)
            return JSONResponse(openai.error_body(message, "invalid_request_error", "model_not_found"), 404)
        question = Question(asked.question, id=uuid.uuid4().hex)
        answerer = request.state.service.answerer
        reply = openai.Reply(
            answer=Answer(""),
            approach=answerer.name,
            model=asked.model,
            id=f"chatcmpl-{question.id}",
            created=int(time.time()),
            base=str(request.base_url),
        )
        if not asked.stream:
            answer = await run_in_threadpool(answerer.answer, question)
            return JSONResponse(replace(reply, answer=answer).completion())
        coming = await live.begin(answerer, question)
        headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        events = _events(reply, coming, asked.include_usage)
        return StreamingResponse(events, media_type="text/event-stream", headers=headers)

    async def models(self, request: Request) -> Response:
        return JSONResponse(openai.model_list(self.service.models, self.created))

    async def feedback(self, request: Request) -> Response:
        if self.service.feedback is None:
            return JSONResponse(openai.error_body(say("serve.feedback_off"), "invalid_request_error"), 403)
        given = feedback.read_feedback(await _body(request))
        await run_in_threadpool(feedback.append, self.service.feedback, given)
        return JSONResponse({"status": "kept"}, 201)

    async def document(self, request: Request) -> Response:
        name, version = request.path_params["id"], request.query_params.get("version")
        text = await run_in_threadpool(request.state.service.library.text, name, version or None)
        if text is None:
            return JSONResponse(openai.error_body(say("serve.no_document", id=name), "invalid_request_error"), 404)
        return JSONResponse({"id": name, "version": version, "text": text})

    async def health(self, request: Request) -> Response:
        facts = {
            "status": "ok",
            "approach": self.service.answerer.name,
            "model": self.service.model,
            "feedback": self.service.feedback is not None,
            "token": bool(self.service.token),
            "language": self.language,
        }
        return JSONResponse(facts)

    async def page(self, request: Request) -> Response:
        return FileResponse(_WEB / "index.html", media_type="text/html; charset=utf-8", headers=_HEADERS)

    async def advise(self, request: Request) -> Response:
        text, status = await run_in_threadpool(advice.page, dict(request.query_params), self.language)
        return HTMLResponse(text, status, headers=_HEADERS)

    async def asset(self, request: Request) -> Response:
        return FileResponse(_WEB / request.url.path.removeprefix("/"), headers=_HEADERS)

    async def strings(self, request: Request) -> Response:
        prefix = "serve.web."
        tables = {
            lang: {key.removeprefix(prefix): text for key, text in catalogue(lang).items() if key.startswith(prefix)}
            for lang in LANGUAGES
        }
        return JSONResponse(tables, headers=_HEADERS)


async def _body(request: Request) -> Any:  # noqa: ANN401 - any JSON
    """The JSON body. Only ``application/json`` is taken: a form on another site cannot send it without asking."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise DataError("serve.content_type")
    raw = bytearray()
    async for part in request.stream():
        raw += part
        if len(raw) > _LARGEST:
            raise DataError("serve.too_large", limit=_LARGEST)
    try:
        return json.loads(bytes(raw))
    except (ValueError, RecursionError) as error:
        raise DataError("serve.bad_json") from error


async def _events(reply: openai.Reply, coming: live.LiveAnswer, include_usage: bool) -> AsyncIterator[str]:
    """What is written is sent as it is written, what is checked first when it is complete. An error in the middle is an
    event of its own, as OpenAI sends it: the status was sent long ago.
    """
    yield _event(reply.opening())
    told = ""
    try:
        async for piece in coming.pieces():
            told += piece
            yield _event(reply.piece(piece))
        complete = replace(reply, answer=await coming.answer())
    except GroundtuneError as error:
        yield _event(openai.error_body(error.sentence(), "api_error", error.kind))
        return
    for chunk in complete.rest(told, include_usage):
        yield _event(chunk)
    yield "data: [DONE]\n\n"


def _event(data: dict[str, Any]) -> str:
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n"
