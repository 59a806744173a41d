"""Text that comes from documents or users must not speak for the system: chat control tokens and the marks by which
passages are told apart are made harmless before they reach a chat template. Every letter stays readable.
"""

from __future__ import annotations

import re

# What chat templates of current model families use as control tokens: <|im_end|>, <｜User｜>, <s>, <<SYS>>, [INST],
# <start_of_turn>, <tool_call> and the like. A tokenizer reads them as one special token wherever they stand.
_BARS = re.compile(r"[<＜](?=[\u200b-\u200d\u2060\ufeff]*[|｜])")
_TAGS = re.compile(
    r"</?(?=(?:s|bos|eos|pad|unk|mask|cls|sep|start_of_turn|end_of_turn|start_of_image|end_of_text|endoftext"
    r"|begin_of_text|system|user|assistant|human|think|tool_calls?|tool_response|function_calls?|message|channel"
    r"|extra_id_\d+|reserved_\d+|unused\d+)\s*>)|<(?=<\s*/?\s*SYS\s*>>)|<<(?=\s*/?\s*SYS\s*>>)",
    re.IGNORECASE,
)
_BRACKETS = re.compile(
    r"\[(?=/?(?:INST|SYSTEM_PROMPT|TOOL_CALLS|AVAILABLE_TOOLS|TOOL_RESULTS|IMG|IMG_BREAK|IMG_END|PREFIX|MIDDLE|SUFFIX"
    r"|CLS|SEP|PAD|UNK|MASK|BOS|EOS|gMASK)\])"
)
_NUMBERED = re.compile(r"(?m)^([ \t]*)[\[［【](\d{1,3})[\]］】](?=[ \t])")
# Written text never needs these; they hide instructions from the person who reads the document.
_HIDDEN = re.compile("[\U000e0000-\U000e007f\u202a-\u202e\u2066-\u2069]")


def neutralise(text: str) -> str:
    """``text`` in which no chat control token stands: a space breaks each (``< |system|>``), invisible tag and
    direction characters go. Doing it twice changes nothing more.
    """
    text = _HIDDEN.sub("", text)
    text = _TAGS.sub(r"\g<0> ", _BARS.sub(r"\g<0> ", text))
    return _BRACKETS.sub("[ ", text)


def as_data(text: str) -> str:
    """``neutralise``, and no line begins like the ``[n] label`` of a passage."""
    return _NUMBERED.sub(r"\1(\2)", neutralise(text))
