"""The interview of ``groundtune advise`` as one web page: a form that works without a script, and the advice under it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import isfinite

from groundtune.errors import ConfigError
from groundtune.messages import LANGUAGES, resolve, say
from groundtune.report.markup import Html, bullets, esc, join, paragraph, tag
from groundtune.report.words import TAGS
from groundtune.verdict.advise import Advice, Interview, InterviewQuestion, advise, questions
from groundtune.verdict.sentence import Sentence, sentence

_NAMES = {"en": "English", "zh-TW": "繁體中文", "ja": "日本語"}


def page(given: Mapping[str, str], default: str) -> tuple[str, int]:
    """The page and its HTTP status. ``given`` are the form's fields (nothing yet: only the questions), ``default`` the
    language where none was chosen.
    """
    lang = given["lang"] if given.get("lang") in LANGUAGES else resolve(default)
    asked = questions(lang)
    answers = {q.name: given[q.name].strip() for q in asked if given.get(q.name, "").strip()}
    status, result = 200, Html("")
    try:
        interview = _interview(asked, answers)
        if answers:
            result = _advice(advise(interview), lang)
    except ConfigError as error:
        status, interview = 400, Interview()
        result = tag("p", error.sentence(lang), css="bad", role="alert")
    body = join([_head(lang), tag("main", join([_form(asked, interview, answers, lang), result]), id="main")])
    title = f"{_say('title', lang)} · groundtune"
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta name="color-scheme" content="light dark"><title>{esc(title)}</title>'
        '<link rel="icon" href="data:,"><link rel="stylesheet" href="style.css">'
    )
    return f'<!doctype html>\n<html lang="{TAGS[lang]}">\n<head>{head}</head>\n<body>{body}</body>\n</html>\n', status


def _interview(asked: Sequence[InterviewQuestion], answers: Mapping[str, str]) -> Interview:
    """Raises ``ConfigError`` for a choice that there is not, or a number that is none."""
    values: dict[str, object] = {}
    for question in asked:
        if question.name not in answers:
            continue
        text = answers[question.name]
        if question.kind == "number":
            number = _number(question.name, text)
            values[question.name] = int(number) if isinstance(question.default, int) else number
        else:
            values[question.name] = text == "yes" if question.kind == "yes_no" else text
    return Interview(**values, origins=dict.fromkeys(values, "asked"))  # type: ignore[arg-type]


def _number(name: str, text: str) -> float:
    try:
        number = float(text.replace(",", "").replace("，", ""))
    except ValueError:
        number = -1.0
    if number < 0 or not isfinite(number):
        raise ConfigError("serve.advise.number", name=sentence(f"answer.{name}").text(), value=text)
    return number


def _head(lang: str) -> Html:
    links = [
        tag("a", _NAMES[code], href=f"?lang={code}", lang=TAGS[code], aria_current="page" if code == lang else None)
        for code in LANGUAGES
    ]
    skip = tag("a", say("report.skip", lang=lang), css="skip", href="#main")
    title = tag("h1", _say("title", lang))
    back = tag("a", _say("back", lang), href="./")
    nav = tag("nav", join([*links, back], " "), aria_label=_say("languages", lang))
    return join([skip, tag("header", join([title, nav]))])


def _form(asked: Sequence[InterviewQuestion], interview: Interview, answers: Mapping[str, str], lang: str) -> Html:
    fields = [_field(question, getattr(interview, question.name), answers, lang) for question in asked]
    hidden = Html(f'<input type="hidden" name="lang" value="{lang}">')
    button = tag("button", _say("submit", lang), type="submit")
    return tag("form", join([paragraph(_say("lead", lang)), hidden, *fields, button]), id="ask", method="get")


def _field(question: InterviewQuestion, value: object, answers: Mapping[str, str], lang: str) -> Html:
    ident = f"f-{question.name}"
    label = tag("label", question.text, for_=ident)
    if question.kind == "number":
        shown = answers.get(question.name, f"{value:g}" if isinstance(value, int | float) else "")
        field = Html(f'<input id="{ident}" name="{question.name}" inputmode="decimal" value="{esc(shown)}">')
        return tag("p", join([label, field]))
    if question.kind == "yes_no":
        options = {"no": sentence("advise.no").text(lang), "yes": sentence("advise.yes").text(lang)}
        value = "yes" if value else "no"
    else:
        options = dict(question.choices)
    made = [tag("option", text, value=code, selected=code == value) for code, text in options.items()]
    return tag("p", join([label, tag("select", join(made), id=ident, name=question.name)]))


def _advice(advice: Advice, lang: str) -> Html:
    first = sentence(f"advise.first_{advice.first}", name=advice.first).text(lang)
    parts = [tag("h2", first, id="first")]
    if advice.warning:
        parts.append(tag("p", advice.warning.text(lang), css="bad"))
    parts += _part("why", advice.why, lang)
    parts += _part("gates", (gate.sentence for gate in advice.gates), lang)
    parts += _part("outlook", advice.outlook, lang)
    parts += _part("measure_next", advice.measure_next, lang, ordered=True)
    parts += _part("used", advice.used, lang)
    return tag("section", join(parts), aria_labelledby="first")


def _part(heading: str, lines: Iterable[Sentence], lang: str, *, ordered: bool = False) -> list[Html]:
    said = [line.text(lang) for line in lines]
    return [tag("h2", say(f"verdict.heading.{heading}", lang=lang)), bullets(said, ordered=ordered)] if said else []


def _say(key: str, lang: str) -> str:
    return say(f"serve.advise.{key}", lang=lang)
