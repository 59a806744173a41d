"""A fine-tuning service on this computer: the documented routes of three providers, with errors on demand."""

from __future__ import annotations

import email.parser
import email.policy
import io
import json
import tarfile
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "tgp_v1_secret-key-of-this-test"


@dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def parts(self) -> dict[str, str]:
        """Fields of multipart/form-data by name."""
        head = f"Content-Type: {self.headers['content-type']}\r\n\r\n".encode()
        message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + self.body)
        return {
            part.get_param("name", header="content-disposition"): part.get_payload(decode=True).decode()
            for part in message.iter_parts()
        }


@dataclass
class Fault:
    """What goes wrong on the first requests whose ``METHOD /path`` starts with ``on``: an HTTP ``status``, or ``drop``
    before the service acts, after it acted without an answer, or in the middle of a body.
    """

    on: str
    times: int = 1
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    drop: str = ""


def adapter_archive(names: dict[str, bytes] | None = None) -> bytes:
    files = names or {
        "adapter_config.json": b'{"base_model_name_or_path": "org/base", "r": 16}',
        "adapter_model.safetensors": b"weights" * 9,
        "chat_template.jinja": b"{{ messages }}",
    }
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


class JobServer:
    """``states`` are what a job says of itself, one after the other; the last repeats."""

    def __init__(self, states: list[Any], *, faults: list[Fault] = (), archive: bytes | None = None) -> None:
        self.states = list(states)
        self.faults = list(faults)
        self.archive = adapter_archive() if archive is None else archive
        self.seen: list[Request] = []
        self.jobs: list[dict[str, Any]] = []
        self.uploaded: list[str] = []
        self.cancelled = False
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {key.lower(): value for key, value in self.headers.items()}
                request = Request(self.command, self.path, headers, body)
                outer.seen.append(request)
                self.close_connection = True
                fault = outer._fault(request)
                if fault is not None and fault.drop == "before":
                    return
                status, reply = (fault.status, fault.body) if fault and fault.status else outer._reply(request)
                if fault is not None and fault.drop == "after":
                    return
                data = reply if isinstance(reply, bytes) else json.dumps(reply).encode()
                self.send_response(status)
                for key, value in {"Content-Length": str(len(data)), **(fault.headers if fault else {})}.items():
                    self.send_header(key, value)
                self.send_header("Connection", "close")
                self.end_headers()
                self.wfile.write(data[: len(data) // 2] if fault is not None and fault.drop == "middle" else data)

            do_GET = do_POST = do_DELETE = _answer

            def log_message(self, *_: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> JobServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def calls(self) -> list[str]:
        return [f"{r.method} {r.path.partition('?')[0]}" for r in self.seen]

    def _fault(self, request: Request) -> Fault | None:
        for fault in self.faults:
            if fault.times > 0 and f"{request.method} {request.path}".startswith(fault.on):
                fault.times -= 1
                return fault
        return None

    def _state(self) -> Any:
        return self.states.pop(0) if len(self.states) > 1 else self.states[0]

    def _reply(self, request: Request) -> tuple[int, Any]:
        path = request.path.partition("?")[0]
        call = f"{request.method} {path}"
        for routes in (self._together, self._openai, self._fireworks):
            found = routes(call, path, request)
            if found is not None:
                return found
        return 404, {"error": {"message": f"no route {call}", "code": "not_found"}}

    def _together(self, call: str, path: str, request: Request) -> tuple[int, Any] | None:
        if call == "POST /files/upload":
            self.uploaded.append(request.parts["file"])
            return 200, {"id": f"file-{len(self.uploaded)}", "purpose": request.parts["purpose"]}
        if call == "POST /fine-tunes":
            self.jobs.append({"id": f"ft-{len(self.jobs) + 1}", "status": "pending", **request.json})
            return 200, self.jobs[-1]
        if call == "GET /fine-tunes":
            return 200, {"data": self.jobs}
        if call.startswith("POST /fine-tunes/") and path.endswith("/cancel"):
            self.cancelled = True
            return 200, {"id": path.split("/")[2], "status": "cancel_requested"}
        if call.startswith("GET /fine-tunes/"):
            state = self._state()
            events = [{"message": "out of memory"}] if state == "error" else []
            return 200, {"id": path.split("/")[2], "status": state, "output_name": "me/tuned", "events": events}
        return (200, self.archive) if call == "GET /finetune/download" else None

    def _openai(self, call: str, path: str, request: Request) -> tuple[int, Any] | None:
        if call == "POST /files":
            self.uploaded.append(request.parts["file"])
            return 200, {"id": f"file-{len(self.uploaded)}"}
        if call == "POST /fine_tuning/jobs":
            job = request.json
            self.jobs.append({"id": "ftjob-1", "status": "queued", "user_provided_suffix": job["suffix"], **job})
            return 200, self.jobs[-1]
        if call == "GET /fine_tuning/jobs":
            return 200, {"data": self.jobs}
        if call.startswith("GET /fine_tuning/jobs/"):
            state = self._state()
            error = {"message": "bad file", "code": "invalid"} if state == "failed" else None
            return 200, {"id": "ftjob-1", "status": state, "fine_tuned_model": "ft:gpt:me", "error": error}
        if path.endswith("/cancel") and path.startswith("/fine_tuning"):
            self.cancelled = True
            return 200, {"id": "ftjob-1", "status": "cancelled"}
        return None

    def _fireworks(self, call: str, path: str, request: Request) -> tuple[int, Any] | None:
        if call == "POST /accounts/me/datasets":
            return 200, {"name": f"accounts/me/datasets/{request.json['datasetId']}", "state": "UPLOADING"}
        if path.startswith("/accounts/me/datasets/") and path.endswith(":upload"):
            self.uploaded.append(request.parts["file"])
            return 200, {}
        if call.startswith("GET /accounts/me/datasets/"):
            return 200, {"state": "READY" if self.uploaded else "UPLOADING"}
        if call == "POST /accounts/me/supervisedFineTuningJobs":
            name = request.path.partition("supervisedFineTuningJobId=")[2]
            if any(job["id"] == name for job in self.jobs):
                return 409, {"error": "job exists already"}
            self.jobs.append({"id": name, **request.json})
            return 200, {"name": f"accounts/me/supervisedFineTuningJobs/{name}", "state": "JOB_STATE_CREATING"}
        if path.startswith("/accounts/me/supervisedFineTuningJobs/"):
            if request.method == "DELETE":
                self.cancelled = True
                return 200, {}
            if not any(job["id"] == path.rpartition("/")[2] for job in self.jobs):
                return 404, {"error": "no such job"}
            state = self._state()
            return 200, {
                "state": f"JOB_STATE_{state}", "outputModel": self.jobs[0]["outputModel"] if self.jobs else "",
                "jobProgress": {"percent": 40}, "status": {"message": "no capacity" if state == "FAILED" else ""},
            }  # fmt: skip
        if path.startswith("/accounts/me/models/") and path.endswith(":getDownloadEndpoint"):
            names = {"adapter_config.json": "/signed/config", "../adapter_model.safetensors": "/signed/weights"}
            return 200, {"filenameToSignedUrls": {name: self.url + place for name, place in names.items()}}
        if path == "/signed/config":
            return 200, b'{"base_model_name_or_path": "org/base"}'
        return (200, b"weights" * 9) if path == "/signed/weights" else None
