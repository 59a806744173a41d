"""ZIP files as folders: each readable file in one is a document of its own; names in old encodings are understood."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from groundtune.errors import DataError
from groundtune.knowledge.decode import decoded

_ENTRIES = 20_000
_ENTRY_BYTES = 256 * 1024 * 1024
_TOTAL_BYTES = 2 * 1024 * 1024 * 1024
# Text packs to a tenth; a file that unpacks to hundreds of times its size is made to fill memory.
_RATIO = 300
_RATIO_FROM = 16 * 1024 * 1024
_UTF8_FLAG = 0x800
_ENCRYPTED_FLAG = 0x1


@dataclass(frozen=True)
class Member:
    """One file in an archive. ``name`` is its safe relative path with forward slashes."""

    name: str
    document: str
    archive: zipfile.ZipFile
    entry: zipfile.ZipInfo

    def read(self) -> bytes:
        """Its content. Raises ``DataError`` for an encrypted, damaged or too large one."""
        if self.entry.flag_bits & _ENCRYPTED_FLAG:
            raise DataError("knowledge.encrypted", document=self.document)
        limit = _limit(self.entry)
        if self.entry.file_size > limit:
            raise self._too_large(limit)
        try:
            with self.archive.open(self.entry) as stream:
                data = stream.read(limit + 1)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError) as error:
            # RuntimeError covers NotImplementedError: a compression that Python does not know
            raise DataError("knowledge.damaged", document=self.document) from error
        if len(data) > limit:
            raise self._too_large(limit)
        return data

    def _too_large(self, limit: int) -> DataError:
        return DataError("knowledge.too_large", document=self.document, limit=max(1, limit // 1024 // 1024))


def _limit(entry: zipfile.ZipInfo) -> int:
    return min(_ENTRY_BYTES, max(_RATIO_FROM, entry.compress_size * _RATIO))


def members(path: Path, document: str, wanted: Callable[[str], bool]) -> tuple[Member, ...]:
    """Files of an archive that ``wanted`` takes by name, sorted. ``document`` is the id of the archive.

    Entries that would lie outside of the archive's folder and hidden ones are left out. The archive stays open for as
    long as its members are in use. Raises ``DataError`` for a damaged archive and for one that is too large.
    """
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise DataError("knowledge.damaged", document=document) from error
    except OSError as error:
        raise DataError("knowledge.unreadable", document=document, reason=error.strerror or error) from error
    entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    if len(entries) > _ENTRIES or sum(entry.file_size for entry in entries) > _TOTAL_BYTES:
        archive.close()
        raise DataError("knowledge.zip_too_large", document=document, files=_ENTRIES, limit=_TOTAL_BYTES // 1024**3)
    found: dict[str, Member] = {}
    for entry, raw in zip(entries, _names(entries), strict=True):
        name = _safe(raw)
        if name and wanted(name):
            found[name] = Member(name, f"{document}/{name}", archive, entry)
    return tuple(found[name] for name in sorted(found))


def _names(entries: Sequence[zipfile.ZipInfo]) -> Iterator[str]:
    """Names of entries. Those without the mark for UTF-8 are in the encoding of the computer that made the archive:
    Python reads them as code page 437, and all of them together tell which one it was.
    """
    raw = [_old_name(entry) for entry in entries]
    old = [name for name in raw if name is not None]
    text = decoded(b"\n".join(old)) if old else None
    together = text.split("\n") if text is not None else []
    names = iter(together if len(together) == len(old) else [decoded(name) or "" for name in old])
    for entry, name in zip(entries, raw, strict=True):
        yield entry.filename if name is None else next(names) or entry.filename


def _old_name(entry: zipfile.ZipInfo) -> bytes | None:
    if entry.flag_bits & _UTF8_FLAG or entry.filename.isascii():
        return None
    try:
        return entry.orig_filename.encode("cp437")
    except UnicodeEncodeError:
        return None


def _safe(name: str) -> str:
    """A relative path inside the archive; empty for one that leaves it, is absolute or hidden."""
    path = PurePosixPath(name.replace("\\", "/"))
    parts = path.parts
    if path.is_absolute() or not parts or ":" in parts[0] or parts[0] == "__MACOSX":
        return ""
    if any(part == ".." or part.startswith((".", "~$")) for part in parts):
        return ""
    return path.as_posix()
