"""What a service hands back, unpacked and registered as an adapter of the project where it is a PEFT adapter."""

from __future__ import annotations

import json
import os
import shutil
import tarfile
from pathlib import Path
from typing import IO

from groundtune.errors import ModelRefused
from groundtune.tuning import adapters
from groundtune.tuning.hosted import Hosted, Job
from groundtune.types import Adapter

_ZSTD = b"\x28\xb5\x2f\xfd"
CONFIG = "adapter_config.json"


def register(hosted: Hosted, job: Job, root: Path, into: Path) -> str:
    """The name of the registered adapter in ``into``; empty when nothing was downloaded, or when it is packed in a way
    that needs a package that is not installed (the archive stays where it is).

    Raises ``ModelRefused`` for an archive that is broken or holds no adapter.
    """
    if not job.downloaded:
        return ""
    name = f"finetune-{job.digest[:8]}"
    if adapters.read(into / name) is not None:
        return name
    found = root / job.downloaded
    folder = found if found.is_dir() else _unpacked(found)
    if folder is None:
        return ""
    config = next(iter(sorted(folder.rglob(CONFIG))), None)
    if config is None:
        raise ModelRefused("tuning.hosted_no_adapter", path=found)
    base = json.loads(config.read_text(encoding="utf-8")).get("base_model_name_or_path") or job.model
    target = into / name
    temporary = into / f".{name}.part"
    shutil.rmtree(temporary, ignore_errors=True)
    shutil.copytree(config.parent, temporary)
    shutil.rmtree(target, ignore_errors=True)  # without a note: an earlier attempt that was interrupted
    os.replace(temporary, target)
    settings = {
        "provider": job.provider, "job": job.job, "rows": job.examples, "epochs": hosted.order.epochs,
        "rank": hosted.order.rank, "data_digest": job.data_digest,
    }  # fmt: skip
    adapters.write(target, Adapter(str(target), f"hf:{base}", job.digest, settings))
    return name


def _unpacked(archive: Path) -> Path | None:
    """A folder beside the archive with its content; None when it is zstd and nothing here can read that."""
    out = archive.with_name("adapter")
    shutil.rmtree(out, ignore_errors=True)
    try:
        with archive.open("rb") as raw:
            packed = raw.read(4) == _ZSTD
            raw.seek(0)
            stream = _zstd(raw) if packed else raw
            if stream is None:
                return None
            with tarfile.open(fileobj=stream, mode="r|" if packed else "r:*") as tar:
                tar.extractall(out, filter="data")  # refuses paths that lead out, links and devices
    except (tarfile.TarError, EOFError, OSError) as error:
        shutil.rmtree(out, ignore_errors=True)
        raise ModelRefused("tuning.hosted_archive", path=archive, reason=str(error) or type(error).__name__) from error
    return out


def _zstd(raw: IO[bytes]) -> IO[bytes] | None:
    try:
        import zstandard
    except ModuleNotFoundError:
        return None
    reader: IO[bytes] = zstandard.ZstdDecompressor().stream_reader(raw)
    return reader
