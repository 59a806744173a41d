"""Templates for Ollama, run by a small evaluator of Go's template language that knows what Ollama fills in."""

import re

import pytest

from groundtune.errors import TrainingError
from groundtune.messages import LANGUAGES
from groundtune.tuning.export_ollama import modelfile, take_apart
from groundtune.tuning.export_source import Source
from groundtune.types import Message

pytestmark = pytest.mark.tune
CHATML = (
    "{% if messages[0]['role'] != 'system' %}<|system|>You are kind.<|end|>\n{% endif %}"
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
BEGIN = (
    "{{ bos_token }}{% for m in messages %}[{{ m['role'] }}]\n\n{{ m['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}[assistant]\n\n{% endif %}"
)
FOLDED = (
    "{% for m in messages %}{% if m['role'] == 'system' %}{% set keep = m['content'] %}{% elif m['role'] == 'user' %}"
    "[INST] {{ messages[0]['content'] if loop.index0 == 1 and messages[0]['role'] == 'system' }} {{ m['content'] }} [/INST]"
    "{% else %}{{ m['content'] }}</s>{% endif %}{% endfor %}"
)
LAST = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}{% if not loop.last %}<|end|>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|end|><|assistant|>{% endif %}"
)
BRACES = (
    "{% for m in messages %}{{ '{{' }}{{ m['role'] }}{{ '}}' }}{{ m['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}{{ '{{assistant}}' }}{% endif %}"
)
CHATS = [
    [Message("user", "Hello")],
    [Message("system", "Be brief."), Message("user", "a\n\nb"), Message("assistant", "c"), Message("user", "保固？")],
]


def source(template):
    import tiny_models

    class Model:
        class config:  # noqa: N801 - as transformers has it
            max_position_embeddings = 20000

            @classmethod
            def get_text_config(cls):
                return cls

    words = tiny_models.tokenizer(template)
    words.model_max_length = 16384
    return Source(Model, words, (6, 2), "float32")


def fill(template, messages):
    """What Go makes of the subset that is written: text, ``.Content``, ``if``, ``else if``, ``range``, a quoted literal."""
    parts = re.split(r"\{\{ (.*?) \}\}", template)
    system = "\n\n".join(m.content for m in messages if m.role == "system")

    def block(at, dot, active):
        out = []
        while at < len(parts):
            action = parts[at]
            if at % 2 == 1 and action.startswith(("end", "else")):
                return "".join(out), at
            if at % 2 == 0:
                out.append(action if active else "")
            elif action == "range .Messages":
                body = ""
                for message in messages:
                    text, stop = block(at + 1, message, active)
                    body += text
                at = stop
                out.append(body)
            elif action.startswith("if"):
                text, at = branch(at, dot, active)
                out.append(text)
            elif action == ".Content":
                out.append(dot.content if active else "")
            else:
                out.append(action.strip('"') if active else "")
            at += 1
        return "".join(out), at

    def holds(action, dot):
        role = re.search(r'eq \.Role "(\w+)"', action)
        return dot.role == role[1] if role else not system

    def branch(at, dot, active):
        chosen, out = False, ""
        while parts[at] != "end":
            take = active and not chosen and holds(parts[at], dot)
            text, at = block(at + 1, dot, take)
            out, chosen = out + (text if take else ""), chosen or take
        return out, at

    return block(0, None, True)[0]


@pytest.mark.parametrize("template", [None, CHATML, BEGIN, BRACES])
def test_go_writes_what_jinja_writes(template):
    import tiny_models

    made = source(template or tiny_models.CHAT_TEMPLATE)
    turns = take_apart(made)
    for chat in CHATS:
        own = made.tokenizer.apply_chat_template(
            [m.as_dict() for m in chat], tokenize=False, add_generation_prompt=True
        )
        assert turns.write(chat) == own and fill(turns.go(), chat) == own
    assert turns.begin == ("<s>" if template == BEGIN else "") and bool(turns.default) == (template == CHATML)


@pytest.mark.parametrize("template", [FOLDED, LAST, "{{ messages[-1]['content'] }}", "{{ raise_exception('no') }}"])
def test_a_template_that_does_more_is_refused(template):
    with pytest.raises(TrainingError, match="--to gguf") as caught:
        take_apart(source(template))
    assert all(caught.value.sentence(lang) for lang in LANGUAGES)


def test_a_modelfile_holds_template_system_prompt_stops_and_context():
    made = source(BEGIN)
    text = modelfile(made, take_apart(made), "house.gguf", adds_begin=True, system=' Answer with "JSON". ')
    lines = text.splitlines()
    assert lines[0] == "FROM ./house.gguf" and 'SYSTEM """Answer with "JSON"."""' in lines
    assert 'TEMPLATE """{{ range .Messages }}' in text and "<s>" not in text  # the tokenizer begins the text itself
    assert [line for line in lines if line.startswith("PARAMETER")] == [
        'PARAMETER stop "<|end|>"', 'PARAMETER stop "</s>"', "PARAMETER temperature 0", "PARAMETER num_ctx 8192",
    ]  # fmt: skip
    with pytest.raises(TrainingError, match="three double quotes"):
        modelfile(made, take_apart(made), "house.gguf", adds_begin=False, system='say """')
