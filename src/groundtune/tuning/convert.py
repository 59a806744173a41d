"""One row of somebody's training data to chats: OpenAI, prompt/completion, Alpaca, ShareGPT, Gemini, or plain columns.

A chat in which several assistant turns carry weight becomes several examples, one per such turn, because only the last
turn of an example is trained; a turn of weight 0 stays as context and is never trained (TRL trains on it). Tool calls
are written into the text in the Hermes/Qwen form, ``<tool_call>{"name", "arguments"}</tool_call>``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from groundtune.types import Message, Role

_ROLES: dict[str, Role] = {
    "system": "system", "developer": "system", "user": "user", "human": "user", "prompter": "user",
    "assistant": "assistant", "gpt": "assistant", "model": "assistant", "bot": "assistant", "chatgpt": "assistant",
    "tool": "tool", "function": "tool", "observation": "tool", "function_call": "assistant",
}  # fmt: skip
# Column names in lower case; the first that a file has is taken.
INPUTS = (
    "prompt", "input", "question", "query", "instruction", "user", "source", "text", "問題", "輸入", "提問", "指令",
    "質問", "入力", "指示", "プロンプト",
)  # fmt: skip
TARGETS = (
    "completion", "output", "answer", "response", "target", "assistant", "label", "reply", "答案", "輸出", "回答", "回覆",
    "出力", "応答",
)  # fmt: skip
SYSTEMS = ("system", "system_prompt", "系統", "システム")
DOCUMENTS = ("document", "document_id", "doc", "文件", "文書")


class Unfit(Exception):
    """A row is no example; ``key`` under ``tuning.line`` says why."""

    def __init__(self, key: str, **params: object) -> None:
        super().__init__(key)
        self.key = key
        self.params = params


@dataclass(frozen=True)
class Chat:
    """Turns that end with the answer to train on, and what was changed on the way (keys under ``tuning.note``)."""

    messages: tuple[Message, ...]
    metadata: Mapping[str, object]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Columns:
    """Which fields hold what, when the caller says so; empty means: by their usual names."""

    input: str = ""
    target: str = ""
    system: str = ""
    document: str = ""


def format_of(row: Mapping[str, Any], columns: Columns = Columns()) -> str:  # noqa: B008 - frozen
    """``openai``, ``sharegpt``, ``gemini``, ``alpaca``, ``prompt-completion``, ``columns``, or empty for none of them."""
    if columns.input or columns.target:
        return "columns"
    if isinstance(row.get("messages"), list):
        return "openai"
    if isinstance(row.get("conversations") or row.get("conversation"), list):
        return "sharegpt"
    if isinstance(row.get("contents"), list):
        return "gemini"
    if "instruction" in row and "output" in row:
        return "alpaca"
    if "prompt" in row and "completion" in row:
        return "prompt-completion"
    return "columns" if _named(row, INPUTS) and _named(row, TARGETS) else ""


def convert(row: Mapping[str, Any], columns: Columns = Columns(), *, every_turn: bool = True) -> list[Chat]:  # noqa: B008
    """The examples of one row. Raises ``Unfit`` when it holds none; ``every_turn`` False trains the last turn only."""
    kind = format_of(row, columns)
    if kind == "openai":
        return _chats(row, row["messages"], {"messages", "tools", "functions"}, every_turn)
    if kind == "sharegpt":
        name = "conversations" if row.get("conversations") else "conversation"
        system = row.get("system") or row.get("system_prompt")
        turns = [{"role": "system", "content": system}] if isinstance(system, str) and system.strip() else []
        return _chats(row, [*turns, *map(_share, row[name])], {name, "system", "system_prompt", "tools"}, every_turn)
    if kind == "gemini":
        return _chats(row, _gemini(row), {"contents", "systemInstruction", "system_instruction"}, every_turn)
    if kind == "alpaca":
        return [_alpaca(row)]
    if kind == "prompt-completion":
        return _pair(row, every_turn)
    if kind == "columns":
        return [_columns(row, columns)]
    raise Unfit("no_format", fields=", ".join(map(str, row)) or "-")


def _chats(row: Mapping[str, Any], turns: Sequence[Any], used: set[str], every_turn: bool) -> list[Chat]:
    if not turns:
        raise Unfit("no_messages")
    notes: list[str] = []
    messages: list[Message] = []
    tools = _tools(row)
    if tools:
        notes.append("tools")
    trained: list[int] = []
    skipped = 0
    for position, turn in enumerate(turns, start=1):
        message, weight = _turn(turn, position, notes)
        messages.append(message)
        if message.role == "assistant" and message.content.strip():
            if weight == 0:
                skipped += 1
            elif any(m.role == "user" for m in messages):
                trained.append(len(messages))
    if tools:
        messages = _with_tools(messages, tools)
        trained = [end + (len(messages) - len(turns)) for end in trained]
    if not trained:
        raise Unfit("weight_zero" if skipped else "no_answer_turn")
    if skipped:
        notes.append("weight_zero")
    if trained[-1] < len(messages):
        notes.append("tail")
    ends = trained if every_turn else trained[-1:]
    if len(trained) > 1:
        notes.append("several" if every_turn else "last_only")
    metadata = _metadata(row, used)
    return [Chat(_filled(messages[:end]), metadata, tuple(dict.fromkeys(notes))) for end in ends]


def _turn(turn: Any, position: int, notes: list[str]) -> tuple[Message, object]:  # noqa: ANN401
    if not isinstance(turn, Mapping):
        raise Unfit("turn_object", position=position)
    role = _ROLES.get(str(turn.get("role", "")).strip().lower())
    if role is None:
        raise Unfit("role", position=position, role=turn.get("role"), known=", ".join(_ROLES))
    text = _text(turn.get("content"), position, notes)
    calls = turn.get("tool_calls") or ([{"function": turn["function_call"]}] if turn.get("function_call") else [])
    if calls:
        if not isinstance(calls, list):
            raise Unfit("tool_call", position=position)
        text = "\n".join([*([text] if text.strip() else []), *(_call(call, position) for call in calls)])
        notes.append("tool_calls")
    return Message(role, text), turn.get("weight", 1)


def _text(content: Any, position: int, notes: list[str]) -> str:  # noqa: ANN401
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, list):  # content parts
        texts = [
            part.get("text") for part in content if isinstance(part, Mapping) and isinstance(part.get("text"), str)
        ]
        if len(texts) < len(content):
            if not texts:
                raise Unfit("no_text", position=position)
            notes.append("parts")
        return "".join(str(text) for text in texts)
    raise Unfit("content", position=position)


def _call(call: Any, position: int) -> str:  # noqa: ANN401
    function = call.get("function", call) if isinstance(call, Mapping) else None
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        raise Unfit("tool_call", position=position)
    arguments = function.get("arguments", {})
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments or "{}")
        except ValueError as error:
            raise Unfit("tool_arguments", position=position, name=function["name"]) from error
    written = json.dumps({"name": function["name"], "arguments": arguments}, ensure_ascii=False)
    return f"<tool_call>\n{written}\n</tool_call>"


def _tools(row: Mapping[str, Any]) -> str:
    tools = row.get("tools") or row.get("functions")
    if isinstance(tools, str) and tools.strip():
        return tools.strip()
    if isinstance(tools, list) and tools:
        return "\n".join(json.dumps(tool, ensure_ascii=False) for tool in tools)
    return ""


def _with_tools(messages: list[Message], tools: str) -> list[Message]:
    """The tool definitions at the end of the system prompt, where Hermes and Qwen templates put them."""
    block = f"<tools>\n{tools}\n</tools>"
    if messages[0].role == "system":
        return [Message("system", f"{messages[0].content.rstrip()}\n\n{block}".strip()), *messages[1:]]
    return [Message("system", block), *messages]


def _filled(messages: Sequence[Message]) -> tuple[Message, ...]:
    return tuple(message for message in messages if message.content.strip())


def _share(turn: Any) -> Any:  # noqa: ANN401
    if not isinstance(turn, Mapping):
        return turn
    return {"role": turn.get("from", turn.get("role")), "content": turn.get("value", turn.get("content")),
            "weight": turn.get("weight", 1)}  # fmt: skip


def _gemini(row: Mapping[str, Any]) -> list[Any]:
    system = row.get("systemInstruction") or row.get("system_instruction")
    turns: list[Any] = []
    if isinstance(system, Mapping):
        turns.append({"role": "system", "content": system.get("parts")})
    for turn in row["contents"]:
        known = isinstance(turn, Mapping)
        turns.append({"role": turn.get("role", "user"), "content": turn.get("parts")} if known else turn)
    return turns


def _alpaca(row: Mapping[str, Any]) -> Chat:
    instruction, given = _string(row, "instruction"), _string(row, "input")
    turns: list[Message] = []
    if _string(row, "system").strip():
        turns.append(Message("system", _string(row, "system")))
    history = row.get("history")
    for pair in history if isinstance(history, list) else []:
        if isinstance(pair, list) and len(pair) == 2:
            turns += [Message("user", str(pair[0])), Message("assistant", str(pair[1]))]
    text = "\n\n".join(part for part in (instruction, given) if part.strip())
    used = {"instruction", "input", "output", "system", "history"}
    return _asked([*turns, Message("user", text)], _string(row, "output"), _metadata(row, used))


def _pair(row: Mapping[str, Any], every_turn: bool) -> list[Chat]:
    prompt, completion = row["prompt"], row["completion"]
    if isinstance(prompt, list) and isinstance(completion, list):  # chats in two parts, as TRL has them
        weightless = [{**turn, "weight": 0} if isinstance(turn, Mapping) else turn for turn in prompt]
        return _chats(row, [*weightless, *completion], {"prompt", "completion", "tools"}, every_turn)
    notes = []
    text, answer = _string(row, "prompt"), _string(row, "completion")
    for mark in ("\n\n###\n\n", "\n\n###", "\n###\n", " ->", "\n\n---\n\n"):  # separators of the old completion models
        if text.endswith(mark):
            text = text.removesuffix(mark)
            notes.append("separator")
    for mark in (" END", "\n###", "###", "<|endoftext|>"):
        if answer.endswith(mark):
            answer = answer.removesuffix(mark)
            notes.append("stop_mark")
    chat = _asked([Message("user", text)], answer.strip(), _metadata(row, {"prompt", "completion"}))
    return [Chat(chat.messages, chat.metadata, tuple(notes))]


def _columns(row: Mapping[str, Any], columns: Columns) -> Chat:
    into = {
        "input": columns.input or _named(row, INPUTS), "target": columns.target or _named(row, TARGETS),
        "system": columns.system or _named(row, SYSTEMS), "document": columns.document or _named(row, DOCUMENTS),
    }  # fmt: skip
    for what in ("input", "target"):
        if into[what] not in row:
            raise Unfit("no_column", column=into[what], fields=", ".join(map(str, row)))
    system = _string(row, into["system"]) if into["system"] else ""
    turns = [Message("system", system)] if system.strip() else []
    metadata = _metadata(row, {name for key, name in into.items() if key != "document"})
    if into["document"] and into["document"] in metadata:
        metadata = {**metadata, "document": metadata[into["document"]]}
    return _asked([*turns, Message("user", _string(row, into["input"]))], _string(row, into["target"]), metadata)


def _asked(turns: Sequence[Message], answer: str, metadata: Mapping[str, object]) -> Chat:
    if not turns[-1].content.strip():
        raise Unfit("empty_input")
    if not answer.strip():
        raise Unfit("empty_target")
    return Chat((*turns, Message("assistant", answer)), metadata)


def _string(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _named(row: Mapping[str, Any], names: Sequence[str]) -> str:
    known = {str(key).strip().lower(): str(key) for key in row}
    return next((known[name] for name in names if name in known), "")


def _metadata(row: Mapping[str, Any], used: set[str]) -> dict[str, object]:
    """Everything that is not part of the chat, flat."""
    own = row.get("metadata")
    rest = {
        str(key): value
        for key, value in row.items()
        if key not in used and key != "metadata" and value not in (None, "")
    }
    return {**rest, **(own if isinstance(own, dict) else {})}
