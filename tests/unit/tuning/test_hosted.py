import json
import logging
from datetime import date

import pytest
from job_server import KEY, Fault, JobServer, adapter_archive

from groundtune.config import TuningSection
from groundtune.errors import DataError, ModelRefused, ModelUnreachable, SpecError, TrainingError
from groundtune.messages import LANGUAGES
from groundtune.tuning.adapters import Adapters
from groundtune.tuning.hosted import Hosted, training_file
from groundtune.tuning.hosted_http import Client, clean
from groundtune.tuning.hosted_openai import OpenAIJobs
from groundtune.tuning.hosted_result import register
from groundtune.types import Example, Message


def examples(count=12, extra=""):
    return [
        Example((Message("system", "s"), Message("user", f"q{i}{extra}"), Message("assistant", f"a{i}")), id=f"e{i}")
        for i in range(count)
    ]


class Waits:
    def __init__(self):
        self.seconds = []

    def __call__(self, seconds):
        self.seconds.append(seconds)


@pytest.fixture
def service(monkeypatch, tmp_path):
    """``service("together", server, ...)`` -> a Hosted on it that never sleeps."""
    for name in ("TOGETHER_API_KEY", "FIREWORKS_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.setenv(name, KEY)
    monkeypatch.setenv("FIREWORKS_ACCOUNT_ID", "me")

    def make(provider, server, *, rows=None, told=None):
        from groundtune.tuning.hosted_fireworks import Fireworks
        from groundtune.tuning.hosted_together import Together

        waits = Waits()
        variable = f"{provider.upper()}_API_KEY"
        client = Client(server.url, variable, timeout=5, retries=3, sleep=waits)
        tuner = {
            "together": lambda: Together(client), "fireworks": lambda: Fireworks(client, waits),
            "openai": lambda: OpenAIJobs(client, date(2026, 12, 1)),
        }[provider]()  # fmt: skip
        tell = (lambda job, status: told.append((job.job, status.state))) if told is not None else None
        settings = TuningSection(epochs=3, rank=8)
        hosted = Hosted(
            tmp_path / "hosted",
            f"{provider}:org/base",
            rows or examples(),
            settings,
            tell=tell,
            sleep=waits,
            tuner=tuner,
        )
        return hosted, waits

    return make


def test_together_from_upload_to_a_registered_adapter(service, tmp_path):
    told = []
    with JobServer(["queued", "running", "running", "completed"]) as server:
        hosted, waits = service("together", server, told=told)
        job = hosted.run()
        name = register(hosted, job, tmp_path / "hosted", tmp_path / "adapters")
    assert server.calls()[:2] == ["POST /files/upload", "POST /fine-tunes"]
    assert server.uploaded[0].encode() == training_file(examples())
    order = server.jobs[0]
    assert (order["model"], order["n_epochs"], order["train_on_inputs"]) == ("org/base", 3, False)
    assert order["training_type"] == {"type": "Lora", "lora_r": 8, "lora_alpha": 16} and "learning_rate" not in order
    assert all(request.headers["authorization"] == f"Bearer {KEY}" for request in server.seen)
    assert told == [("ft-1", "waiting"), ("ft-1", "running"), ("ft-1", "running"), ("ft-1", "done")]
    assert waits.seconds == [5.0, 7.5, 11.25]
    card = Adapters(tmp_path / "adapters").card(name, thorough=True)
    assert (card.adapter.base, card.damage, card.approach) == ("hf:org/base", "", "finetune")
    assert card.adapter.settings["job"] == "ft-1" and card.data_digest == job.data_digest and card.template_digest
    assert register(hosted, job, tmp_path / "hosted", tmp_path / "adapters") == name
    again, _ = service("together", server)  # the server is gone: nothing is asked again
    assert again.kept() == job


def test_fireworks_uses_its_own_ids_and_signed_addresses_get_no_key(service, tmp_path):
    with JobServer(["CREATING", "RUNNING", "COMPLETED"]) as server:
        hosted, _ = service("fireworks", server)
        job = hosted.run()
        name = register(hosted, job, tmp_path / "hosted", tmp_path / "adapters")
    assert job.job == hosted.order.suffix == server.jobs[0]["id"]
    assert server.jobs[0]["outputModel"] == f"accounts/me/models/{hosted.order.suffix}"
    assert job.result == server.jobs[0]["outputModel"] and Adapters(tmp_path / "adapters").get(name)
    assert (tmp_path / "hosted" / hosted.path.stem / "adapter_model.safetensors").is_file()  # not one folder above
    assert not (tmp_path / "hosted" / "adapter_model.safetensors").exists()


def test_openai_says_that_it_ends_and_keeps_the_weights(service, tmp_path):
    with JobServer(["validating_files", "running", "succeeded"]) as server:
        hosted, _ = service("openai", server)
        job = hosted.run()
    assert job.result == "ft:gpt:me" and job.downloaded == ""
    assert register(hosted, job, tmp_path / "hosted", tmp_path / "adapters") == ""
    assert server.jobs[0]["method"]["supervised"]["hyperparameters"] == {"n_epochs": 3}
    late = OpenAIJobs(Client("http://127.0.0.1:9", "OPENAI_API_KEY"), date(2027, 1, 7))
    with pytest.raises(TrainingError, match="no new fine-tuning jobs since 2027-01-06") as caught:
        late.upload("x.jsonl", b"")
    assert all(caught.value.sentence(language) for language in LANGUAGES)


def test_openai_closed_for_this_account(service):
    closed = Fault("POST /fine_tuning", status=403, body={"error": {"code": "training_not_available", "message": "no"}})
    with JobServer(["queued"], faults=[closed]) as server:
        hosted, _ = service("openai", server)
        with pytest.raises(ModelRefused, match="together:MODEL"):
            hosted.run()


@pytest.mark.parametrize("when", ["after", "before"])
@pytest.mark.parametrize("provider", ["together", "openai", "fireworks"])
def test_a_dropped_creation_never_makes_a_second_job(service, provider, when):
    route = {"together": "POST /fine-tunes", "openai": "POST /fine_tuning/jobs",
             "fireworks": "POST /accounts/me/supervisedFineTuningJobs"}[provider]  # fmt: skip
    ended = {"together": "completed", "openai": "succeeded", "fireworks": "COMPLETED"}[provider]
    with JobServer([ended], faults=[Fault(route, drop=when)]) as server:
        hosted, _ = service(provider, server)
        job = hosted.run()
    assert job.state == "done" and len(server.jobs) == 1


def test_reading_survives_limits_errors_and_dropped_connections(service):
    faults = [
        Fault("POST /files/upload", status=429, headers={"Retry-After": "7"}, body={"error": {"message": "slow down"}}),
        Fault("POST /files/upload", drop="after"),
        Fault("POST /fine-tunes", status=429, headers={"Retry-After": "3"}, body={}),
        Fault("GET /fine-tunes/ft-1", times=2, status=503, body={}),
        Fault("GET /fine-tunes/ft-1", drop="before"),
        Fault("GET /finetune/download", drop="middle"),
    ]
    with JobServer(["running", "completed"], faults=faults) as server:
        hosted, waits = service("together", server)
        job = hosted.run()
    assert job.state == "done" and len(server.jobs) == 1
    assert any(seconds >= 7 for seconds in waits.seconds) and any(3 <= seconds < 5 for seconds in waits.seconds)
    archive = hosted.path.parent / job.downloaded
    assert archive.read_bytes() == adapter_archive() or archive.stat().st_size == len(server.archive)
    assert not list(archive.parent.glob(".*"))


def test_an_interrupted_run_goes_on_with_the_same_job(service):
    class Stop(Exception):
        pass

    with JobServer(["queued", "running", "completed"]) as server:
        hosted, _ = service("together", server)

        def stop(seconds):
            raise Stop

        hosted._sleep = stop
        with pytest.raises(Stop):
            hosted.run()
        kept = json.loads(hosted.path.read_text())
        assert (kept["job"], kept["file"], kept["state"]) == ("ft-1", "file-1", "waiting")
        assert KEY not in hosted.path.read_text()
        again, _ = service("together", server)
        assert again.run().state == "done"
    assert len(server.jobs) == 1 and len(server.uploaded) == 1


def test_other_data_is_another_job(service):
    with JobServer(["completed"]) as server:
        first, _ = service("together", server)
        other, _ = service("together", server, rows=examples(extra="!"))
        assert first.run().digest != other.run().digest
    assert len(server.jobs) == 2 and first.path != other.path


@pytest.mark.parametrize(
    ("provider", "states", "said"),
    [
        ("together", ["running", "error", "completed"], "out of memory"),
        ("fireworks", ["RUNNING", "FAILED", "COMPLETED"], "no capacity"),
        ("openai", ["running", "failed", "succeeded"], "bad file"),
    ],
)
def test_failed_jobs_say_why_and_a_new_one_uses_the_stored_file(service, provider, states, said):
    with JobServer(states) as server:
        hosted, _ = service(provider, server)
        with pytest.raises(TrainingError, match=said):
            hosted.run()
        assert hosted.kept().state == "failed"
        assert hosted.run().state == "done"
    assert len(server.jobs) == 2 and len(server.uploaded) == 1


@pytest.mark.parametrize("provider", ["together", "openai", "fireworks"])
def test_cancel(service, provider):
    class Stop(Exception):
        pass

    state = {"together": "running", "openai": "running", "fireworks": "RUNNING"}[provider]
    with JobServer([state]) as server:
        hosted, _ = service(provider, server)
        with pytest.raises(DataError, match="no running job"):
            hosted.cancel()

        def stop(seconds):
            raise Stop

        hosted._sleep = stop
        with pytest.raises(Stop):
            hosted.run()
        assert hosted.cancel().state == "cancelled" and server.cancelled
        with pytest.raises(DataError, match="no running job"):
            hosted.cancel()


@pytest.mark.parametrize(
    ("status", "body", "error", "said"),
    [
        (401, {"error": {"message": f"Incorrect key {KEY}"}}, ModelUnreachable, "TOGETHER_API_KEY"),
        (400, {"error": {"message": "model cannot be tuned"}}, ModelRefused, "model cannot be tuned"),
        (402, {"error": "out of credit"}, ModelRefused, "out of credit"),
        (429, {"error": {"message": "too many"}}, ModelUnreachable, "asks to wait"),
        (500, b"<html>oops", ModelUnreachable, "HTTP 500"),
        (200, b"<html>portal", ModelRefused, "does not say"),
        (200, {"object": "file"}, ModelRefused, "does not say"),
    ],
)
def test_errors_are_sentences_without_the_key(service, caplog, status, body, error, said):
    caplog.set_level(logging.DEBUG)
    with JobServer(["running"], faults=[Fault("POST /files/upload", times=9, status=status, body=body)]) as server:
        hosted, _ = service("together", server)
        with pytest.raises(error, match=said) as caught:
            hosted.run()
    for language in LANGUAGES:
        assert KEY not in caught.value.sentence(language)
    assert KEY not in caplog.text and hosted.kept() is None


def test_waiting_for_minutes_is_not_done_silently(service):
    fault = Fault("POST /files/upload", status=429, headers={"Retry-After": "4000"}, body={})
    with JobServer(["running"], faults=[fault]) as server:
        hosted, waits = service("together", server)
        with pytest.raises(ModelUnreachable, match="asks to wait"):
            hosted.run()
    assert waits.seconds == []


def test_nothing_private_leaves_and_keys_never(service):
    with JobServer(["completed"]) as server:
        hosted, _ = service("together", server, rows=examples(extra=" write to jo@example.org"))
        with pytest.raises(DataError, match="--allow-private"):
            hosted.run()
        assert server.seen == []
        assert hosted.run(allow_private=True).state == "done"
        secret, _ = service("together", server, rows=examples(extra=" sk-proj-abcdefghijklmnop1234"))
        with pytest.raises(DataError, match="are not sent"):
            secret.run(allow_private=True)
        few, _ = service("together", server, rows=examples(3))
        with pytest.raises(DataError, match="at least 10"):
            few.run()


def test_only_the_last_answer_has_weight_in_what_is_sent():
    turns = (Message("user", "a"), Message("assistant", "1"), Message("user", "b"), Message("assistant", "2"))
    (row,) = training_file([Example(turns, metadata={"customer": "secret"})]).splitlines()
    assert [turn.get("weight") for turn in json.loads(row)["messages"]] == [None, 0, None, None]
    assert b"secret" not in row


def test_the_key_stays_with_its_host(monkeypatch, tmp_path):
    monkeypatch.setenv("TOGETHER_API_KEY", KEY)
    with JobServer(["x"]) as other, JobServer(["x"]) as server:
        moved = Fault(
            "GET /finetune/download", status=302, headers={"Location": f"{other.url}/signed/weights"}, body={}
        )
        server.faults.append(moved)
        Client(server.url, "TOGETHER_API_KEY").download("finetune/download", tmp_path / "a")
        Client(server.url, "TOGETHER_API_KEY").download(f"{other.url}/signed/weights", tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes() == b"weights" * 9
    assert "authorization" in server.seen[0].headers
    assert all("authorization" not in request.headers for request in other.seen) and len(other.seen) == 2
    with pytest.raises(ModelUnreachable, match="unencrypted"):
        Client("http://example.org/v1", "TOGETHER_API_KEY").get("models")


def test_keys_and_accounts_that_are_missing(monkeypatch, tmp_path):
    from groundtune.tuning.hosted_fireworks import Fireworks

    for name in ("TOGETHER_API_KEY", "FIREWORKS_ACCOUNT_ID"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ModelUnreachable, match="TOGETHER_API_KEY"):
        Hosted(tmp_path, "together:org/base", examples(), TuningSection()).run()
    monkeypatch.setenv("FIREWORKS_API_KEY", KEY)
    with pytest.raises(ModelUnreachable, match="FIREWORKS_ACCOUNT_ID"):
        Fireworks().upload("x.jsonl", b"")
    for spec in ("nowhere:model", "together", "together:"):
        with pytest.raises(SpecError, match="together:MODEL"):
            Hosted(tmp_path, spec, examples(), TuningSection())
    assert clean(f"Bearer {KEY} and sk-abcdefgh", KEY) == "Bearer *** and ***"


def test_archives_that_are_broken_lead_out_or_hold_no_adapter(service, tmp_path):
    cases = {
        b"not a tar": "cannot be unpacked",
        adapter_archive({"../../outside.txt": b"x"}): "cannot be unpacked",
        adapter_archive({"readme.txt": b"x"}): "no LoRA adapter",
    }
    for number, (archive, said) in enumerate(cases.items()):
        with JobServer(["completed"], archive=archive) as server:
            hosted, _ = service("together", server, rows=examples(extra=str(number)))
            job = hosted.run()
        with pytest.raises(ModelRefused, match=said):
            register(hosted, job, tmp_path / "hosted", tmp_path / "adapters")
    assert not (tmp_path / "outside.txt").exists() and Adapters(tmp_path / "adapters").cards() == ()


def test_a_damaged_record_is_not_guessed_at(service):
    with JobServer(["completed"]) as server:
        hosted, _ = service("together", server)
        hosted.path.parent.mkdir(parents=True)
        hosted.path.write_text("{")
        with pytest.raises(DataError, match="cannot be read"):
            hosted.run()
    assert server.seen == []


def test_zstd_archives_are_unpacked_where_that_is_possible(service, tmp_path, monkeypatch):
    zstandard = pytest.importorskip("zstandard")
    import gzip

    packed = zstandard.compress(gzip.decompress(adapter_archive()))
    with JobServer(["completed"], archive=packed) as server:
        hosted, _ = service("together", server)
        job = hosted.run()
    with monkeypatch.context() as patch:
        patch.setitem(__import__("sys").modules, "zstandard", None)
        assert register(hosted, job, tmp_path / "hosted", tmp_path / "adapters") == ""
    assert (tmp_path / "hosted" / job.downloaded).is_file()
    name = register(hosted, job, tmp_path / "hosted", tmp_path / "adapters")
    assert Adapters(tmp_path / "adapters").get(name).base == "hf:org/base"
