"""The ids that get a row of the reader's embedding table, and its first values: what words keep company with.

Rows go to the ids (of words, stems, prefixes, suffixes, shapes; of CJK characters, bigrams, trigrams) that are most frequent
in passages and people's questions. Each row gets the positive pointwise mutual information with the words around it, context
counts smoothed with the power 0.75 (Levy, Goldberg and Dagan 2015), and of that matrix the leading left singular vectors,
each scaled to the same variance. Japanese and Chinese are factorised together, so that characters they share are the same
in both. No question's answer is looked at.
"""

from __future__ import annotations

import numpy as np
from reader_data import Bank
from scipy import sparse
from scipy.sparse.linalg import svds

from groundtune.models.reader_units import IDS, UNKNOWN, Encoded, rows_of

REACH = {"en": 5, "ja": 8, "zh-Hant": 8}  # units to each side, weighted by nearness
CONTEXTS = 30_000  # the most frequent context ids
LEAST = 1.2  # weighted count below which a pair is left out
SHRINK = 20.0  # ids seen seldom are pulled to zero: n / (n + SHRINK)
OFTEN = 3  # an id that is seen less often has no row


def first_keys(banks: dict[str, Bank], size: int) -> np.ndarray:
    """Sorted uint32 ids: at most ``size``, those with the largest sum of shares over the languages."""
    share: dict[int, float] = {}
    for bank in banks.values():
        texts = [bank.passages["ids"], bank.asked["ids"][: _asked(bank)]]
        ids, counts = np.unique(np.concatenate([t.ravel() for t in texts]), return_counts=True)
        for key, count in zip(ids[counts >= OFTEN].tolist(), counts[counts >= OFTEN].tolist(), strict=True):
            share[key] = share.get(key, 0.0) + count / counts.sum()
    kept = sorted(share, key=lambda key: (-share[key], key))[:size]
    return np.array(sorted(kept), dtype=np.uint32)


def first_table(banks: dict[str, Bank], keys: np.ndarray, size: int, std: float, seed: int = 0) -> np.ndarray:
    """(UNKNOWN + len(keys), size) float32 with standard deviation ``std`` in every column; zero where nothing was seen."""
    n = UNKNOWN + len(keys)
    seen, total = np.zeros(n), sparse.csr_matrix((n, n), dtype=np.float32)
    for lang, bank in banks.items():
        counts = _counts(bank, lang, keys)
        seen += np.asarray(counts.sum(1)).ravel()
        total = total + _information(counts)
    vectors, _, _ = svds(total, k=size, random_state=seed)
    vectors *= (seen / (seen + SHRINK))[:, None]
    known = np.abs(vectors).sum(1) > 0
    table: np.ndarray = (vectors * (std / vectors[known].std(0, keepdims=True))).astype(np.float32)
    return table


def _asked(bank: Bank) -> int:
    """Units of people's questions, which come first."""
    return int(bank.asked_at[int((~bank.made).sum())])


def _counts(bank: Bank, lang: str, keys: np.ndarray) -> sparse.csr_matrix:
    """How often an id (row) stands near a context (column), weighted by nearness, over passages and people's questions."""
    counts = sparse.csr_matrix((UNKNOWN + len(keys),) * 2, dtype=np.float32)
    texts = ((bank.passages, bank.passage_at, len(bank.passages["ids"])), (bank.asked, bank.asked_at, _asked(bank)))
    for flat, at, n in texts:
        whole = Encoded(*(flat[k][:n] for k in Encoded.__slots__))
        ids, single = rows_of(whole, keys), whole.single
        text = np.searchsorted(at, np.arange(n), side="right")
        for away in [d for d in range(-REACH[lang], REACH[lang] + 1) if d]:
            i = np.arange(max(0, -away), min(n, n - away))
            i = i[text[i] == text[i + away]]
            j = i + away
            pair = single[j] & ((away >= 2) | (away <= -3))  # a bigram that does not hold the unit itself
            weight = np.float32((REACH[lang] + 1 - abs(away)) / REACH[lang])
            for column in range(IDS):
                rows = np.concatenate([ids[i, column], ids[i[pair], column]])
                contexts = np.concatenate([ids[j, 0], ids[j[pair], 2]])
                data = np.full(len(rows), weight, np.float32)
                counts = counts + sparse.csr_matrix((data, (rows, contexts)), shape=counts.shape)
    return counts


def _information(counts: sparse.csr_matrix) -> sparse.csr_matrix:
    """Positive pointwise mutual information with the CONTEXTS most frequent contexts."""
    rows, columns = np.asarray(counts.sum(1)).ravel(), np.asarray(counts.sum(0)).ravel()
    columns[:UNKNOWN] = 0
    smooth = np.where(columns >= np.sort(columns)[-min(CONTEXTS, len(columns))], columns, 0) ** 0.75
    smooth /= smooth.sum()
    pairs = counts.tocoo()
    kept = (pairs.data >= LEAST) & (smooth[pairs.col] > 0)
    row, column = pairs.row[kept], pairs.col[kept]
    value = np.log(pairs.data[kept] / rows[row] / smooth[column])
    up = value > 0
    return sparse.csr_matrix((value[up].astype(np.float32), (row[up], column[up])), shape=counts.shape)
