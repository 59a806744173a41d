"""A synthetic comparison with the shape of a real one: five approaches, three languages, seeded."""

from __future__ import annotations

import json
import random
from datetime import date

from groundtune.config import Config, CostSection, RequirementsSection
from groundtune.measure.attribution import LABELS
from groundtune.measure.contrasts import declared_contrasts
from groundtune.measure.results import ApproachResult, Freshness, ItemResult, Quote, Report
from groundtune.measure.stats import estimate
from groundtune.verdict.cost import CostReport, cost_table, inputs_from
from groundtune.verdict.decide import decide
from groundtune.verdict.outcome import Verdict

START = date(2026, 11, 23)
FACTS = {
    "en": [
        ("How many days of annual leave does a full-time employee get?", "26 days", "Leave Policy", "§ 1.1", "24 days"),
        ("Who signs off a purchase above £5,000?", "the finance director", "Purchasing Policy", "§ 2.3", ""),
        ("How long is the guarantee on a Linnet?", "four years", "Warranty and Repair", "§ 1.1", "three years"),
        ("What does express delivery cost?", "£9.50", "Shipping and Returns", "§ 3.1", "£8.90"),
        ("When must a laptop lock itself?", "after 3 minutes", "IT Security", "§ 2.2", ""),
        ("Where is the assembly point in a fire?", "the north car park", "Safety and Emergency", "§ 4.1", ""),
    ],
    "zh-TW": [
        ("全職員工一年有幾天特別休假？", "14天", "請假規則", "第2條", "12天"),
        ("五萬元以上的採購要由誰核准？", "財務長", "採購管理辦法", "第5條", ""),
        ("藍鵲車款的保固期是多久？", "四年", "保固與維修辦法", "第1條", "三年"),
        ("快遞配送的運費是多少？", "180元", "出貨與退貨辦法", "第3條", "150元"),
        ("筆電閒置多久會自動鎖定？", "3分鐘", "資訊安全管理辦法", "第4條", ""),
        ("火警時要到哪裡集合？", "北側停車場", "安全與緊急應變辦法", "第6條", ""),
    ],
    "ja": [
        ("正社員の年次有給休暇は年に何日ですか。", "20日", "休暇規程", "第2条", "18日"),
        ("50万円を超える購買は誰が承認しますか。", "財務部長", "購買管理規程", "第5条", ""),
        ("テント「ツグミ2」の保証期間は何年ですか。", "4年", "保証・修理規程", "第1条", "3年"),
        ("速達便の送料はいくらですか。", "980円", "出荷・返品要領", "第3条", "880円"),
        ("ノートパソコンは何分で自動ロックされますか。", "3分", "情報セキュリティ規程", "第4条", ""),
        ("火災のときの集合場所はどこですか。", "北側駐車場", "安全衛生・緊急時対応要領", "第6条", ""),
    ],
}
UNANSWERABLE = {
    "en": "What is the rent of a flat in the company hostel?",
    "zh-TW": "員工宿舍每月租金多少？",
    "ja": "社員寮の家賃は月いくらですか。",
}
QUOTES = {
    "en": "Under this policy the figure is {answer}, counted from the invoice date.",
    "zh-TW": "依本辦法，其數為{answer}，自發票日起算。",
    "ja": "本規程における値は{answer}とし、請求日から起算する。",
}
# approach: (knows, format valid, refuses when it should, refuses when it should not, seconds, tokens in, out)
SKILL = {
    "prompt": (0.03, 0.15, 0.35, 0.20, 0.31, 96, 22),
    "few-shot": (0.04, 0.78, 0.40, 0.22, 0.44, 412, 27),
    "rag": (0.72, 0.58, 0.72, 0.09, 0.62, 548, 29),
    "finetune": (0.07, 0.98, 0.45, 0.12, 0.29, 61, 26),
    "rag+finetune": (0.79, 0.97, 0.80, 0.10, 0.58, 455, 26),
}
WRONG = {
    "prompt": ("hallucination", "over_refusal"),
    "few-shot": ("hallucination", "over_refusal"),
    "finetune": ("hallucination", "stale"),
    "rag": ("reading", "distractor", "retrieval_ranking", "retrieval_recall", "retrieval_packing"),
    "rag+finetune": ("reading", "distractor", "retrieval_recall"),
}
EVIL = "<script>alert('x')</script> & \"quoted\""


def house(answer: str | None, source: str | None, article: str | None) -> str:
    return json.dumps({"answer": answer, "source": source, "article": article}, ensure_ascii=False)


def make_item(approach: str, index: int, lang: str, seed: int) -> ItemResult:
    """Item ``index``; every sixth has no answer in the documents. Skills decide what comes out."""
    rng = random.Random(f"{seed}-{approach}-{index}")
    hard = random.Random(f"{seed}-{index}").random()  # the same for all approaches: items differ in difficulty
    knows, formed, refuses, over, seconds, tokens_in, tokens_out = SKILL[approach]
    question, answer, source, article, old = FACTS[lang][index % 6]
    valid = rng.random() < formed
    usage = {
        "input_tokens": tokens_in + index % 7,
        "output_tokens": tokens_out,
        "seconds": seconds * (0.7 + rng.random()),
    }
    common = {"id": f"q-{index:03d}", "part": "question", "group": f"doc-{index % 16}", **usage}
    if index % 6 == 5:
        refused = rng.random() < refuses
        output = house(None, None, None) if valid else "?"
        scores = {"success": float(refused and valid), "format_valid": float(valid), "false_answer": float(not refused)}
        label = "ok" if scores["success"] else "format" if refused else "unsupported_answer"
        wrong = house(answer, source, article)
        return ItemResult(
            question=UNANSWERABLE[lang], expected="", output=output if refused else wrong, answerable=False,
            abstained=refused, scores=scores, label=label, **common,
        )  # fmt: skip
    right = (hard + rng.random()) / 2 < knows if knows < 0.5 else rng.random() * 0.4 + hard * 0.6 < knows
    refused = not right and rng.random() < over * 2
    label = ("ok" if valid else "format") if right else "over_refusal" if refused else rng.choice(WRONG[approach])
    given = answer if right else (old or "42") if label == "stale" else "42"
    output = house(given, source, article) if valid else f"{given}."
    quote = QUOTES[lang].format(answer=answer)
    cites = (Quote(f"{source}.md", 10, 60, quote, source, article),) if "rag" in approach and not refused else ()
    scores = {
        "success": float(right and valid), "answer_em": float(right and valid), "answer_in_output": float(right),
        "answer_f1": 1.0 if right else 0.1, "format_valid": float(valid), "over_refusal": float(refused),
        "citation_precision": float(right) if cites else None, "citation_recall": float(right and bool(cites)),
        "quote_verbatim": 1.0 if cites else None,
    }  # fmt: skip
    return ItemResult(
        question=question, expected=answer, output=house(None, None, None) if refused else output, abstained=refused,
        scores=scores, citations=cites, label=label, evidence_shown=("rag" in approach) or None, **common,
    )  # fmt: skip


def make_approach(name: str, lang: str, count: int, seed: int) -> ApproachResult:
    items = tuple(make_item(name, index, lang, seed) for index in range(count))
    groups = [item.group for item in items]
    metrics = {m: estimate([item.scores.get(m) for item in items], groups) for m in items[0].scores | items[5].scores}
    labels = {label: sum(item.label == label for item in items) for label in LABELS}
    seconds = sorted(item.seconds for item in items)
    mean = {n: sum(getattr(i, n) for i in items) / count for n in ("input_tokens", "output_tokens")}
    return ApproachResult(
        name=name, model="builtin:base", metrics=metrics, latency_p50=seconds[count // 2],
        latency_p95=seconds[int(count * 0.95)], retrieved_tokens=380.0 if "rag" in name else 0.0,
        fit_seconds=210.0 if "finetune" in name else 2.0, labels={k: v for k, v in labels.items() if v}, items=items, **mean,
    )  # fmt: skip


def make_report(lang: str = "en", count: int = 120, seed: int = 1, *, evil: bool = False, skip: str = "") -> Report:
    """A report in which the hybrid is best, RAG misses the format and fine-tuning alone knows nothing."""
    results = [make_approach(name, lang, count, seed) for name in SKILL]
    contrasts = declared_contrasts([r for r in results if r.name != skip])
    if skip:
        results = [
            ApproachResult(r.name, r.model, skipped="Torch is missing.") if r.name == skip else r for r in results
        ]
    names = {"en": "Wrenfold Instruments", "zh-TW": "穗嶺車業", "ja": "白稜ギア"}
    report = Report(
        project=names[lang], language=lang, created="2026-11-23T17:05:00+00:00", version="0.1.0",
        base_model="builtin:base", reader="builtin:reader", questions=count, unanswerable=count // 6,
        examples_held_out=30, examples_trained=170, documents=16, approaches=tuple(results), contrasts=contrasts,
        freshness=(Freshness("rag", 0.81, 0.03, 0.16, 32), Freshness("finetune", 0.0, 0.72, 0.28, 32),
                   Freshness("rag+finetune", 0.84, 0.06, 0.10, 32)),
        retrieval={"questions": 100.0, "document_recall@1": 0.83, "evidence_recall@1": 0.74, "document_recall@3": 0.94,
                   "evidence_recall@3": 0.9, "document_recall@10": 0.99, "evidence_recall@10": 0.97, "evidence_mrr": 0.82},
        settings={"k": 10, "context_sentences": 3, "seed": 0, "corpus_tokens": 28000}, data_digest="5f2c9a7e11d04b6c",
        notes=("The questions come from 16 source document(s) only; intervals are wide for that reason.",),
    )  # fmt: skip
    return poisoned(report) if evil else report


def poisoned(report: Report) -> Report:
    """The same report with markup in every text that comes from data."""

    def item(i: ItemResult) -> ItemResult:
        quotes = tuple(Quote(EVIL, q.start, q.end, EVIL, EVIL, EVIL) for q in i.citations)
        return ItemResult(
            **{**_plain(i), "question": EVIL, "expected": EVIL, "output": EVIL, "citations": quotes, "id": i.id}
        )

    results = tuple(
        ApproachResult(**{**_plain(a), "items": tuple(item(i) for i in a.items), "model": EVIL})
        for a in report.approaches
    )
    texts = {
        "project": EVIL,
        "base_model": EVIL,
        "reader": EVIL,
        "notes": (EVIL,),
        "settings": {EVIL: EVIL},
        "created": EVIL,
    }
    return Report(**{**_plain(report), "approaches": results, **texts})


def _plain(value: object) -> dict[str, object]:
    return {name: getattr(value, name) for name in value.__dataclass_fields__}  # type: ignore[attr-defined]


def make_config() -> Config:
    money = CostSection(queries_per_month=20000.0, value_per_correct_answer=0.02)
    return Config(cost=money, requirements=RequirementsSection(fixed_format=True, minimum_gain=0.1))


def make_cost(report: Report) -> CostReport:
    return cost_table(inputs_from(make_config(), report, start=START), today=START)


def make_verdict(report: Report) -> Verdict:
    config = make_config()
    return decide(report, make_cost(report), config.requirements, config)
