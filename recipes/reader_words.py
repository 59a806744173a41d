"""First values of the reader's embeddings: what the words of the training text keep company with.

Every hashed id of a unit (word, stem, prefix, suffix, shape; a CJK character with its bigrams) gets the positive pointwise
mutual information with the words around it, context counts smoothed with the power 0.75 (Levy, Goldberg and Dagan 2015),
and of that matrix the leading left singular vectors, each scaled to the same variance. Japanese and Chinese are factorised together, so that characters they share are the same in
both; English apart, turned so that figures, marks and Latin words point where the others have them. No question's answer
is looked at.
"""

from __future__ import annotations

import numpy as np
from reader_data import Bank
from scipy import sparse
from scipy.linalg import orthogonal_procrustes
from scipy.sparse.linalg import svds

from groundtune.models.reader_units import BUCKETS, IDS

REACH = {"en": 5, "ja": 8, "zh-Hant": 8}  # units to each side, weighted by nearness
CONTEXTS = 30_000  # the most frequent context ids
LEAST = 1.2  # weighted count below which a pair is left out
SHRINK = 20.0  # ids seen seldom are pulled to zero: n / (n + SHRINK)
GROUPS = (("en",), ("ja", "zh-Hant"))  # factorised together
SHARED = 50.0  # weighted count from which an id takes part in turning one group's vectors to the other's


def first_table(banks: dict[str, Bank], size: int, std: float, seed: int = 0) -> np.ndarray:
    """(BUCKETS, size) float32 with standard deviation ``std`` in every column; zero where nothing was seen."""
    table, most = np.zeros((BUCKETS, size), np.float32), np.zeros(BUCKETS)
    for group in GROUPS:
        seen, total = np.zeros(BUCKETS), sparse.csr_matrix((BUCKETS, BUCKETS), dtype=np.float32)
        for lang in (name for name in group if name in banks):
            counts = _counts(banks[lang], lang)
            seen += np.asarray(counts.sum(1)).ravel()
            total = total + _information(counts)
        if not total.nnz:
            continue
        vectors, _, _ = svds(total, k=size, random_state=seed)
        vectors *= (seen / (seen + SHRINK))[:, None]
        known = np.abs(vectors).sum(1) > 0
        vectors *= std / vectors[known].std(0, keepdims=True)
        both = np.minimum(seen, most) >= SHARED
        if both.sum() >= size:  # what both groups know points the same way in both
            vectors = vectors @ orthogonal_procrustes(vectors[both], table[both])[0]
        new = known & (seen > most)
        table[new] = vectors[new]
        most = np.maximum(most, seen)
    return table


def _counts(bank: Bank, lang: str) -> sparse.csr_matrix:
    """How often an id (row) stands near a context (column), weighted by nearness, over passages and people's questions."""
    asked = int(bank.asked_at[int((~bank.made).sum())])  # people's questions come first
    counts = sparse.csr_matrix((BUCKETS, BUCKETS), dtype=np.float32)
    texts = ((bank.passages, bank.passage_at, len(bank.passages["ids"])), (bank.asked, bank.asked_at, asked))
    for flat, at, n in texts:
        ids, single = flat["ids"][:n], flat["single"][:n]
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
    smooth = np.where(columns >= np.sort(columns)[-CONTEXTS], columns, 0) ** 0.75
    smooth /= smooth.sum()
    pairs = counts.tocoo()
    kept = (pairs.data >= LEAST) & (smooth[pairs.col] > 0)
    row, column = pairs.row[kept], pairs.col[kept]
    value = np.log(pairs.data[kept] / rows[row] / smooth[column])
    up = value > 0
    return sparse.csr_matrix((value[up].astype(np.float32), (row[up], column[up])), shape=counts.shape)
