"""A passage's place survives the way through another library's metadata."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from groundtune.interop.convert import hit_of, metadata_of
from groundtune.types import Chunk, Hit, digest


@given(st.text(min_size=1), st.integers(0, 10**6), st.text(), st.text(), st.floats(0, 100))
def test_there_and_back(text: str, start: int, title: str, heading: str, score: float) -> None:
    chunk = Chunk("c1", "d/1.md", "v" * 32, text, start, start + len(text), digest(text), title, heading, 3)
    assert hit_of(text, metadata_of(Hit(chunk, score)), id="c1") == Hit(chunk, score)


@given(st.text(), st.dictionaries(st.sampled_from(["source", "document_id", "title", "x"]), st.text()))
def test_foreign_passages_keep_the_invariants(text: str, metadata: dict[str, str]) -> None:
    hit = hit_of(text, metadata, rank=1)
    chunk = hit.chunk
    assert chunk.end - chunk.start == len(text) and chunk.document_id and chunk.version == digest(text)
    assert hit.score == 0.5
