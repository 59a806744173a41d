"""Personal data and secrets in training data: what must not be learned by heart by a model.

Candidates are found by form and confirmed by check digits where there are any (Luhn for cards, the weighted sum of
Taiwan's national ID, the modulus 11 of Japan's My Number), so that order numbers are not taken for identities.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from groundtune.types import Example, Message

Kind = Literal["email", "phone", "taiwan_id", "my_number", "credit_card", "api_key", "private_key"]
KINDS: tuple[Kind, ...] = ("private_key", "api_key", "email", "credit_card", "taiwan_id", "my_number", "phone")
_LETTERS = {letter: 10 + index for index, letter in enumerate("ABCDEFGHJKLMNPQRSTUVXYWZIO")}
_EDGE = r"(?<![\w.+-])"
_KEY = re.compile(
    r"(?<![\w-])(?:"
    r"(?:sk|pk|rk)-(?:proj-|ant-|live-|test-)?[A-Za-z0-9_-]{16,}"  # OpenAI, Anthropic and the like
    r"|(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{16,}"  # Stripe
    r"|AIza[A-Za-z0-9_-]{35}"  # Google
    r"|AKIA[A-Z0-9]{16}|ASIA[A-Z0-9]{16}"  # AWS
    r"|gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{40,}"  # GitHub
    r"|glpat-[A-Za-z0-9_-]{20,}|xox[abeoprs]-[A-Za-z0-9-]{10,}|hf_[A-Za-z0-9]{30,}|tgp_v1_[A-Za-z0-9_-]{20,}"
    r"|npm_[A-Za-z0-9]{36}|pypi-[A-Za-z0-9_-]{40,}|fw_[A-Za-z0-9]{20,}"
    r"|eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}"  # JSON web tokens
    r")(?![\w-])",
    re.ASCII,
)
_PATTERNS: dict[Kind, re.Pattern[str]] = {
    "private_key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL | re.ASCII),
    "api_key": _KEY,
    "email": re.compile(_EDGE + r"[A-Za-z0-9][\w.+-]*@(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,}(?![\w-])", re.ASCII),
    "credit_card": re.compile(r"(?<![\d.,-])(?:\d[ -]?){12,18}\d(?![\d-])", re.ASCII),
    "taiwan_id": re.compile(r"(?<![A-Za-z0-9])[A-Z][12389]\d{8}(?![A-Za-z0-9])", re.ASCII),
    "my_number": re.compile(r"(?<![\d.,-])(?<!\d )\d{4}[ -]?\d{4}[ -]?\d{4}(?![\d-]| \d)", re.ASCII),
    # Taiwan mobiles (0912-345-678) and land lines ((02) 2345-6789), Japan ((0)90-1234-5678, 03-1234-5678, 0120-…),
    # international (+886 …, +81 …) and North American numbers with their usual marks.
    "phone": re.compile(
        r"(?<![\w.,/-])(?:"
        r"\+\d{1,3}[ .-]?(?:\(0\))?\(?\d{1,4}\)?(?:[ .-]?\d{2,4}){2,3}"
        r"|09\d{2}[ -]?\d{3}[ -]?\d{3}"
        r"|0[2-8]\d?-\d{3,4}-\d{4}|\(0[2-8]\d{0,2}\)[ -]?\d{3,4}-?\d{4}|0[2-8]-\d{7,8}"
        r"|0[5789]0[ -]\d{4}[ -]\d{4}|0[789]0\d{8}|0[2-9]\d{8}|0\d{1,3}[-(]\d{1,4}[-)]\d{4}|0(?:120|800|570)[ -]\d{2,3}[ -]\d{3}"
        r"|\(\d{3}\) ?\d{3}-\d{4}|\d{3}-\d{3}-\d{4}"
        r")(?![\w-]|[.,]\d)",
        re.ASCII,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Hit:
    """Something private at ``[start, end)`` of a text, whose kind is ``kind``."""

    kind: Kind
    start: int
    end: int
    text: str

    @property
    def shown(self) -> str:
        """What may be shown of it: the first two characters."""
        return f"{self.text[:2]}…"


def scan(text: str) -> list[Hit]:
    """What is private in a text, in order, without overlaps. Full-width digits and letters count as well."""
    plain = _same_length(text)
    taken: list[Hit] = []
    for kind in KINDS:
        for match in _PATTERNS[kind].finditer(plain):
            confirmed = _CHECKS.get(kind, bool)(match.group())
            free = all(match.end() <= hit.start or match.start() >= hit.end for hit in taken)
            if confirmed and free:
                taken.append(Hit(kind, match.start(), match.end(), text[match.start() : match.end()]))
    return sorted(taken, key=lambda hit: hit.start)


def scan_example(example: Example) -> list[Hit]:
    """What is private in any turn of an example."""
    return [hit for message in example.messages for hit in scan(message.content)]


def redact(text: str) -> str:
    """The text with ``[EMAIL]``, ``[PHONE]`` ... instead of what is private; the same value gets the same number where
    there are several of a kind (``[EMAIL_2]``), so that who is who stays readable.
    """
    return Redactor()(text)


class Redactor:
    """Replaces what is private, with the same mark for the same value in all texts that one object sees."""

    def __init__(self) -> None:
        self._marks: dict[tuple[Kind, str], str] = {}
        self._counts: dict[Kind, int] = {}

    def __call__(self, text: str) -> str:
        parts: list[str] = []
        last = 0
        for hit in scan(text):
            parts += [text[last : hit.start], self._mark(hit)]
            last = hit.end
        return "".join([*parts, text[last:]])

    def example(self, example: Example) -> Example:
        """The example with every turn redacted; within one example the numbers start again."""
        self._marks.clear()
        self._counts.clear()
        turns = tuple(Message(message.role, self(message.content)) for message in example.messages)
        return replace(example, messages=turns)

    def _mark(self, hit: Hit) -> str:
        key = (hit.kind, re.sub(r"[\s()-]", "", hit.text).casefold())
        if key not in self._marks:
            count = self._counts[hit.kind] = self._counts.get(hit.kind, 0) + 1
            self._marks[key] = f"[{hit.kind.upper()}{f'_{count}' if count > 1 else ''}]"
        return self._marks[key]


def luhn(number: str) -> bool:
    """Check digit of payment cards (ISO/IEC 7812-1), and a first digit that issuers use."""
    digits = [int(c) for c in number if c.isdigit()]
    if not 13 <= len(digits) <= 19 or digits[0] not in (2, 3, 4, 5, 6) or len(set(digits)) == 1:
        return False
    total = sum(d if i % 2 == 0 else sum(divmod(2 * d, 10)) for i, d in enumerate(reversed(digits)))
    return total % 10 == 0


def taiwan_id(number: str) -> bool:
    """Check digit of Taiwan's national ID and of the resident certificates since 2021 (a letter and nine digits)."""
    letter = _LETTERS.get(number[:1])
    if letter is None or not re.fullmatch(r"\d{9}", number[1:]):
        return False
    values = [letter // 10, letter % 10, *map(int, number[1:])]
    return (
        sum(value * weight for value, weight in zip(values, (1, 9, 8, 7, 6, 5, 4, 3, 2, 1, 1), strict=True)) % 10 == 0
    )


def my_number(number: str) -> bool:
    """Check digit of Japan's individual number (twelve digits, modulus 11)."""
    digits = [int(c) for c in number if c.isdigit()]
    if len(digits) != 12 or len(set(digits)) == 1:
        return False
    total = 0
    for place, digit in enumerate(reversed(digits[:11]), start=1):
        total += digit * (place + 1 if place <= 6 else place - 5)
    rest = total % 11
    return digits[11] == (0 if rest <= 1 else 11 - rest)


def count_kinds(examples: Iterable[Example]) -> dict[Kind, int]:
    """How many of each kind there are, in the order of ``KINDS``, zeros left out."""
    found: dict[Kind, int] = dict.fromkeys(KINDS, 0)
    for example in examples:
        for hit in scan_example(example):
            found[hit.kind] += 1
    return {kind: count for kind, count in found.items() if count}


def _phone(number: str) -> bool:
    """A plausible amount of digits, and not a date."""
    digits = [c for c in number if c.isdigit()]
    return 9 <= len(digits) <= 15 and not re.fullmatch(r"(?:19|20)\d{2}-\d{1,2}-\d{1,2}", number)


def _same_length(text: str) -> str:
    """Full-width forms as ASCII, character by character, so that offsets stay."""
    return "".join(_narrow(text)) if not text.isascii() else text


def _narrow(text: str) -> Iterator[str]:
    for character in text:
        if "\uff01" <= character <= "\uff5e" or character in "\u3000－‐−‑–ー":
            plain = unicodedata.normalize("NFKC", character)
            yield "-" if character in "－‐−‑–" else plain if len(plain) == 1 else character
        else:
            yield character


_CHECKS: dict[Kind, Callable[[str], bool]] = {
    "credit_card": luhn, "taiwan_id": taiwan_id, "my_number": my_number, "phone": _phone,
}  # fmt: skip
