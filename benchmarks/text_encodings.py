"""Which encoding is this? Against charset-normalizer: `python benchmarks/text_encodings.py --data DATA [--samples 200]`.

Pieces of 4 to 200 characters are cut at random (fixed seed) from ``DATA/qa/<language>/dev.jsonl.gz`` and written in each
encoding. Right is only the exact text. Both get the bytes alone; needs ``pip install charset-normalizer``.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import time
from collections.abc import Callable
from pathlib import Path

import charset_normalizer

from groundtune.knowledge.decode import decoded

ENCODINGS = {
    "zh-Hant": ("big5", "gb18030", "utf-16-le", "utf-8"),
    "ja": ("shift_jis", "euc_jp", "iso2022_jp", "utf-16-be", "utf-8"),
    "en": ("cp1252", "utf-16-le"),
}
LENGTHS = (4, 8, 16, 40, 200)


def theirs(data: bytes) -> str | None:
    best = charset_normalizer.from_bytes(data).best()
    return None if best is None else str(best)


def samples(texts: list[str], length: int, encoding: str, count: int) -> list[tuple[str, bytes]]:
    rng = random.Random(f"{length} {encoding}")
    found: list[tuple[str, bytes]] = []
    for _ in range(count * 400):
        text = rng.choice(texts)
        start = rng.randrange(max(1, len(text) - length))
        piece = text[start : start + length]
        try:
            data = piece.encode(encoding)
        except UnicodeEncodeError:
            continue
        if not piece.isascii() and "\r" not in piece:
            found.append((piece, data))
        if len(found) == count:
            break
    return found


def right(reader: Callable[[bytes], str | None], pairs: list[tuple[str, bytes]]) -> tuple[float, float]:
    """Share that comes back exactly, and seconds."""
    started = time.process_time()
    good = sum(reader(data) == text for text, data in pairs)
    return good / max(1, len(pairs)), time.process_time() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--samples", type=int, default=200)
    options = parser.parse_args()
    print("language  characters  encoding    n    groundtune        charset-normalizer")
    for language, encodings in ENCODINGS.items():
        with gzip.open(options.data / "qa" / language / "dev.jsonl.gz", "rt", encoding="utf-8") as lines:
            texts = [json.loads(line)["text"] for line in lines]
        for length in LENGTHS:
            for encoding in encodings:
                pairs = samples(texts, length, encoding, options.samples)
                if len(pairs) < options.samples:
                    continue  # too little of this text has anything but ASCII in it
                (ours, spent), (peer, took) = right(decoded, pairs), right(theirs, pairs)
                print(
                    f"{language:8}  {length:10}  {encoding:10}  {len(pairs)}  {ours:.3f} ({spent:6.2f} s)  {peer:.3f} ({took:6.2f} s)",
                    flush=True,
                )


if __name__ == "__main__":
    main()
