"""EML to text: subject, people, date, the message in its best form, and attachments that can be read."""

from __future__ import annotations

import email
import email.errors
import email.header
import email.policy
import email.utils
from collections.abc import Callable, Iterator
from email.message import Message

from groundtune.errors import DataError, GroundtuneError
from groundtune.knowledge.decode import decoded
from groundtune.knowledge.extract import Extract, Scalar, one_line, paragraphs
from groundtune.knowledge.html import html_to_markdown

_PEOPLE = ("From", "To", "Cc")
_DEEPEST = 8
Attachment = Callable[[bytes, str], Extract]


def read_mail(data: bytes, name: str, attachment: Attachment | None = None) -> Extract:
    """One message. ``attachment(data, name)`` reads a file in it, raising ``GroundtuneError`` for what it cannot read,
    which leaves that file out. Raises ``DataError`` for a file without any header of a message.
    """
    message = email.message_from_bytes(data, policy=email.policy.compat32)
    subject = one_line(_header(message, "Subject"))
    if not any(message.get(key) for key in ("From", "To", "Subject", "Date", "Received", "MIME-Version")):
        raise DataError("knowledge.damaged", document=name)
    metadata = _metadata(message)
    about = [f"{key}: {people}" for key in _PEOPLE if (people := one_line(_header(message, key)))]
    if "published" in metadata:
        about.append(f"Date: {metadata['published']}")
    blocks = [f"# {subject}" if subject else "", "\n".join(about), *_bodies(message, attachment, 0)]
    return Extract(paragraphs("\n\n".join(block for block in blocks if block.strip())), subject, metadata)


def _metadata(message: Message) -> dict[str, Scalar]:
    metadata: dict[str, Scalar] = {}
    try:
        metadata["published"] = email.utils.parsedate_to_datetime(_header(message, "Date")).isoformat()
    except (TypeError, ValueError, IndexError):
        pass
    if sender := one_line(_header(message, "From")):
        metadata["from"] = sender
    return metadata


def _header(message: Message, key: str) -> str:
    """A header with its encoded words decoded; raw bytes are guessed."""
    parts: list[str] = []
    try:
        pieces = email.header.decode_header(message.get(key, "") or "")
    except (email.errors.HeaderParseError, ValueError, LookupError):
        return str(message.get(key, "") or "")
    for piece, charset in pieces:
        if isinstance(piece, str):
            parts.append(_raw(piece))
        else:
            known = "" if charset in (None, "unknown-8bit") else str(charset)
            parts.append(decoded(piece, known) or piece.decode("ascii", "replace"))
    return "".join(parts)


def _raw(piece: str) -> str:
    if piece.isascii():
        return piece
    data = piece.encode("utf-8", "surrogateescape")
    return decoded(data) or data.decode("ascii", "replace")


def _bodies(message: Message, attachment: Attachment | None, depth: int) -> Iterator[str]:
    if depth > _DEEPEST:
        return
    kind = message.get_content_type()
    if kind == "message/rfc822" or (message.is_multipart() and not kind.startswith("multipart/")):
        for inner in _parts(message):
            if subject := one_line(_header(inner, "Subject")):
                yield f"## {subject}"
            yield from _bodies(inner, attachment, depth + 1)
    elif kind == "multipart/alternative":
        for part in sorted(_parts(message), key=_rank):
            bodies = [body for body in _bodies(part, attachment, depth + 1) if body.strip()]
            if bodies:
                yield from bodies
                break
    elif message.is_multipart():
        for part in _parts(message):
            yield from _bodies(part, attachment, depth + 1)
    else:
        yield from _leaf(message, kind, attachment)


def _parts(message: Message) -> list[Message]:
    payload = message.get_payload()
    return [part for part in payload if isinstance(part, Message)] if isinstance(payload, list) else []


def _rank(part: Message) -> int:
    """HTML keeps headings and tables, so it goes before plain text."""
    kind = part.get_content_type()
    return 1 if kind == "text/plain" else 0 if kind.startswith(("text/html", "multipart/")) else 2


def _leaf(part: Message, kind: str, attachment: Attachment | None) -> Iterator[str]:
    payload = part.get_payload(decode=True)
    if not isinstance(payload, bytes) or not payload:
        return
    name = _file_name(part)
    if name or part.get_content_disposition() == "attachment":
        if attachment is not None and name:
            try:
                read = attachment(payload, name)
            except GroundtuneError:
                return  # a picture, a signature or a file that cannot be read: the message itself can be
            yield f"## {name}\n\n{read.text}"
        return
    if kind in ("text/plain", "text/html"):
        text = decoded(payload, str(part.get_param("charset", "") or ""))
        text = payload.decode("ascii", "replace") if text is None else text
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        yield html_to_markdown(text).text if kind == "text/html" else text


def _file_name(part: Message) -> str:
    """The name of an attachment, also where it is an encoded word or percent-encoded."""
    name = part.get_filename("")
    try:
        pieces = email.header.decode_header(name)
    except (email.errors.HeaderParseError, ValueError):
        pieces = [(name, None)]
    text = "".join(
        _raw(piece) if isinstance(piece, str) else decoded(piece, str(charset or "")) or "" for piece, charset in pieces
    )
    return one_line(text.replace("\\", "/").rpartition("/")[2])
