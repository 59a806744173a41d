"""Readers with tokens of their own: no endpoint gives one what another may see."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette", reason="needs the serve extra (starlette not installed)")
pytest.importorskip("httpx", reason="needs the dev extra (httpx not installed)")

from starlette.testclient import TestClient

from groundtune.cli.serve import make_readers, make_service
from groundtune.errors import ConfigError, UserError
from groundtune.project import Project
from groundtune.serve.app import create_app
from groundtune.serve.mcp import Server

SECRET = "osmium"
QUESTION = "What is the salary code of the director?"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    folder = tmp_path / "documents" / "hr"
    folder.mkdir(parents=True)
    (folder / "pay.md").write_text(f"# Pay\n\nThe salary code of the director is {SECRET}.\n")
    (tmp_path / "documents" / "leave.md").write_text("# Leave\n\nThe director gives 27 days of leave.\n")
    toml = '[models]\nbase = "fake:echo"\nreader = "fake:"\n[access]\nfolders = ["hr = hr"]\nreaders = ["HR_KEY = hr", "STAFF_KEY = staff"]\n'
    (tmp_path / "groundtune.toml").write_text(toml)
    monkeypatch.setenv("HR_KEY", "for-hr")
    monkeypatch.setenv("STAFF_KEY", "for-staff")
    opened = Project.open(tmp_path)
    opened.ingest()
    return opened


def everything(client: TestClient, project: Project, token: str) -> str:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    said = []
    for stream in (False, True):
        body: dict[str, Any] = {
            "model": "my-project",
            "messages": [{"role": "user", "content": QUESTION}],
            "stream": stream,
        }
        said.append(client.post("/v1/chat/completions", json=body, headers=headers).text)
    version = next(d.version for d in project.documents() if d.id == "hr/pay.md")
    for path in (
        "/documents/hr/pay.md",
        f"/documents/hr/pay.md?version={version}",
        "/documents/pay.md",
        "/v1/models",
        "/healthz",
    ):
        said.append(client.get(path, headers=headers).text)
    return "\n".join(said)


@pytest.mark.parametrize("approach", [None, "rag"])
def test_each_token_sees_its_own(project: Project, approach: str | None) -> None:
    service = make_service(project.seen_by(""), approach, False, "")
    app = create_app(service, readers=make_readers(project, approach, False))
    client = TestClient(app, base_url="http://127.0.0.1:8000")
    for token in ("", "for-staff"):
        said = everything(client, project, token)
        assert SECRET not in said and "27 days" in said
    assert SECRET in everything(client, project, "for-hr")
    answer = client.get("/documents/leave.md", headers={"Authorization": "Bearer wrong"})
    assert answer.status_code == 401


def test_the_owners_token_still_counts(project: Project) -> None:
    app = create_app(make_service(project.seen_by(""), None, False, "own"), readers=make_readers(project, None, False))
    client = TestClient(app, base_url="http://127.0.0.1:8000")
    assert client.get("/documents/leave.md").status_code == 401
    for token in ("own", "for-staff", "for-hr"):
        assert client.get("/documents/leave.md", headers={"Authorization": f"Bearer {token}"}).status_code == 200


def test_tools_of_mcp_see_what_the_reader_sees(project: Project) -> None:
    def calls(labels: str) -> str:
        server = Server(make_service(project.seen_by(labels), None, False, ""), "0")
        replies = []
        for name, arguments in (("ask", {"question": QUESTION}), ("search", {"query": QUESTION, "k": 50})):
            message = {
                "jsonrpc": "2.0",
                "id": 1,
                "method": "tools/call",
                "params": {"name": name, "arguments": arguments},
            }
            replies.append(server.handle(json.dumps(message)))
        return json.dumps(replies, ensure_ascii=False)

    assert SECRET not in calls("") and SECRET not in calls("staff") and SECRET in calls("hr")


def test_a_reader_without_a_token_is_a_sentence(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STAFF_KEY")
    with pytest.raises(UserError, match="STAFF_KEY"):
        make_readers(project, None, False)
    toml = (project.config.folder / "groundtune.toml").read_text().replace("HR_KEY = hr", "HR_KEY")
    (project.config.folder / "groundtune.toml").write_text(toml)
    with pytest.raises(ConfigError, match="HR_KEY"):
        make_readers(Project.open(project.config.folder), None, False)
