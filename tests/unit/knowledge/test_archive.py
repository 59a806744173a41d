"""ZIP archives as folders: names, hostile entries, what happens to documents when an archive breaks."""

import io
import struct
import zipfile

import pytest

from groundtune.errors import DataError
from groundtune.knowledge import archive
from groundtune.knowledge.base import KnowledgeBase
from groundtune.knowledge.read import find_sources, read_bytes, to_document


def pack(path, files, method=zipfile.ZIP_DEFLATED):
    """Write an archive. A name given as bytes is stored as it is, without the mark for UTF-8."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as made:
        for number, (name, data) in enumerate(files.items()):
            made.writestr(name if isinstance(name, str) else "#" * len(name) + chr(65 + number), data)
    raw = out.getvalue()
    for number, name in enumerate(files):
        if isinstance(name, bytes):
            raw = raw.replace(b"#" * len(name) + bytes([65 + number]), name + b"t")
    path.write_bytes(raw)


def ids(*paths):
    return [source.id for source in find_sources(paths)]


def test_files_inside_are_documents(tmp_path):
    pack(
        tmp_path / "all.zip",
        {"b/規則.md": "# 規則\n\n蜂箱每週檢查。", "a.txt": "plain", "logo.png": b"\x89PNG", ".hid/x.md": "no"},
    )
    (tmp_path / "c.md").write_text("beside")
    sources = find_sources([tmp_path])
    assert [source.id for source in sources] == ["all.zip/a.txt", "all.zip/b/規則.md", "c.md"]
    document = to_document(sources[1], read_bytes(sources[1]))
    assert (document.title, document.metadata["path"]) == ("規則", "all.zip/b/規則.md")
    assert ids(tmp_path / "all.zip") == ["all.zip/a.txt", "all.zip/b/規則.md"]


@pytest.mark.parametrize(
    ("names", "encoding"),
    [
        (("規則/請假.txt", "規則/加班.txt"), "big5"),
        (("規程/休暇.txt", "議事録.txt"), "cp932"),
        (("规则/请假.txt", "会议纪要.txt"), "gb18030"),
    ],
)
def test_names_in_old_encodings(names, encoding, tmp_path):
    pack(tmp_path / "a.zip", {name[:-1].encode(encoding): "text" for name in names}, zipfile.ZIP_STORED)
    assert sorted(ids(tmp_path)) == sorted(f"a.zip/{name}" for name in names)


@pytest.mark.parametrize(
    "name", ["../up.md", "a/../../up.md", "/etc/up.md", "C:/up.md", "..\\up.md", "__MACOSX/up.md", "a/.b/up.md"]
)
def test_entries_that_leave_the_archive_are_left_out(name, tmp_path):
    pack(tmp_path / "a.zip", {name: "hostile", "good.md": "good"})
    assert ids(tmp_path) == ["a.zip/good.md"]


def test_bombs_are_refused_and_the_rest_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "_RATIO_FROM", 1000)
    monkeypatch.setattr(archive, "_RATIO", 10)
    pack(tmp_path / "a.zip", {"bomb.md": b"0" * 500_000, "good.md": "good"})
    bomb, good = find_sources([tmp_path])
    with pytest.raises(DataError, match="too large"):
        read_bytes(bomb)
    assert read_bytes(good) == b"good"
    # an entry that lies about its size
    raw = bytearray((tmp_path / "a.zip").read_bytes())
    place = raw.rindex(b"PK\x01\x02", 0, raw.rindex(b"PK\x01\x02"))
    struct.pack_into("<I", raw, place + 24, 10)
    (tmp_path / "a.zip").write_bytes(bytes(raw))
    with pytest.raises(DataError):
        read_bytes(find_sources([tmp_path])[0])
    monkeypatch.setattr(archive, "_TOTAL_BYTES", 3)
    with pytest.raises(DataError, match="more than"):
        read_bytes(find_sources([tmp_path])[0])


def test_encrypted_damaged_and_nested(tmp_path):
    pack(tmp_path / "a.zip", {"a.md": "text", "in.zip": b"PK", "old.doc": b"\xd0\xcf\x11\xe0"})
    raw = bytearray((tmp_path / "a.zip").read_bytes())
    raw[raw.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "a.zip").write_bytes(bytes(raw))
    first, nested, old = find_sources([tmp_path])
    with pytest.raises(DataError, match="password"):
        read_bytes(first)
    with pytest.raises(DataError, match="ZIP file inside"):
        to_document(nested, read_bytes(nested))
    with pytest.raises(DataError, match="old Office"):
        to_document(old, read_bytes(old))
    pack(tmp_path / "b.zip", {"x.md": b"long text " * 100})
    raw = bytearray((tmp_path / "b.zip").read_bytes())
    raw[40:44] = b"\xff\xff\xff\xff"
    (tmp_path / "b.zip").write_bytes(bytes(raw))
    with pytest.raises(DataError, match="damaged"):
        read_bytes(find_sources([tmp_path / "b.zip"])[0])


def test_a_broken_archive_loses_nothing(tmp_path):
    documents = tmp_path / "documents"
    documents.mkdir()
    pack(documents / "a.zip", {"one.md": "one about bees", "two.md": "two about wax"})
    with KnowledgeBase.open(tmp_path / "kb") as kb:
        assert kb.sync([documents]).added == ("a.zip/one.md", "a.zip/two.md")
        whole = (documents / "a.zip").read_bytes()
        (documents / "a.zip").write_bytes(whole[:50])
        report = kb.sync([documents])
        assert report.deleted == () and list(report.failed) == ["a.zip"] and "damaged" in report.failed["a.zip"]
        assert [document.id for document in kb.documents()] == ["a.zip/one.md", "a.zip/two.md"]
        pack(documents / "a.zip", {"two.md": "two about wax"})
        assert kb.sync([documents]).deleted == ("a.zip/one.md",)
        pack(documents / "a.zip", {"nothing.png": b"x"})
        report = kb.sync([documents])
        assert report.deleted == ("a.zip/two.md",) and list(report.failed) == ["a.zip"]
