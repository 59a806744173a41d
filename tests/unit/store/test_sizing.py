"""Sizes by hand: the measured stores come out as they were measured, larger ones in proportion."""

import pytest

from groundtune.store.sizing import size


def test_the_embedded_store_as_measured() -> None:
    found = size(100_834, store="sqlite", dimension=96)
    assert found.record_disk == 100_834 * (4_666 + 384) == 509_211_700  # 509 MB were measured
    assert (found.server_disk, found.shards) == (0, 0)
    assert found.memory == 100_834 * 121
    assert found.write_hours == pytest.approx(100_834 / 1_347 / 3600)


def test_a_billion_chunks_on_servers_by_hand() -> None:
    found = size(10**9, store="pgvector", dimension=384, shard_memory=64 * 1024**3)
    assert found.record_disk == 10**9 * (4_666 + 1_536)
    assert found.server_disk == 10**9 * (4_323 + 1_536 + 1_536 + 310)
    assert found.memory == 10**9 * (823 + 1_536 + 310)  # 2,669 GB
    assert found.shards == 39  # 2,669e9 / 68.7e9 = 38.8
    assert found.prepare_hours == pytest.approx(128.0, abs=0.1)


def test_pgvector_as_measured() -> None:
    found = size(100_834, store="pgvector", dimension=96)
    assert found.server_disk == pytest.approx(544.6e6, rel=0.001)
    assert found.write_hours == pytest.approx(100_834 / 216 / 3600)


def test_words_alone_and_shorter_texts() -> None:
    words = size(1_000, store="pgvector", dimension=0)
    assert words.memory == 823_000 and words.server_disk == 4_323_000 and words.shards == 1
    half = size(1_000, store="sqlite", dimension=0, text=408)
    assert (half.record_disk, half.memory) == (2_333_000, 0)
    assert half.prepare_hours == pytest.approx(1_000 / 2 / 2_170 / 3600)
    assert size(0, store="sqlite", dimension=384).record_disk == 0


def test_nonsense_is_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        size(-1, store="sqlite", dimension=384)
    with pytest.raises(ValueError, match="positive"):
        size(1, store="pgvector", dimension=384, shard_memory=0)
