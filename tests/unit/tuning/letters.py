"""A tokenizer of single characters with a chat template in Python, with the interface that training uses."""

from __future__ import annotations

import re

SPECIAL = ("<pad>", "<end>", "<user>", "<system>", "<assistant>")


class Letters:
    """``end`` False leaves the end token out of the template; ``shout`` changes answers; ``swallow`` drops system turns;
    ``strict`` refuses two user turns in a row; ``eos`` False leaves the tokenizer without an end token.
    """

    chat_template = "python"
    added_tokens_decoder: dict = {}

    def __init__(self, *, end=True, shout=False, swallow=False, strict=False, eos=True):
        self.end, self.shout, self.swallow, self.strict = end, shout, swallow, strict
        self.all_special_tokens = list(SPECIAL)
        self.all_special_ids = list(range(len(SPECIAL)))
        self.eos_token_id = 1 if eos else None

    def __call__(self, text, add_special_tokens=False):
        parts = re.split("(" + "|".join(map(re.escape, SPECIAL)) + ")", text)
        ids = []
        for part in parts:
            ids += [SPECIAL.index(part)] if part in SPECIAL else [len(SPECIAL) + ord(c) for c in part]
        return {"input_ids": ids}

    def decode(self, ids, **_):
        return "".join(SPECIAL[i] if i < len(SPECIAL) else chr(i - len(SPECIAL)) for i in ids)

    def apply_chat_template(self, turns, tokenize=False, add_generation_prompt=False, **_):
        text, before = "", ""
        for turn in turns:
            role, content = turn["role"], turn["content"]
            if role == "system" and self.swallow:
                continue
            if self.strict and role == before:
                raise ValueError("Conversation roles must alternate user/assistant")
            before = role
            said = content.upper() if self.shout and role == "assistant" else content
            text += f"<{role}>{said}" + ("<end>" if self.end and role == "assistant" else "")
        return text + ("<assistant>" if add_generation_prompt else "")
