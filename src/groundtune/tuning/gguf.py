"""Writing a merged model as one GGUF file for llama.cpp, Ollama and LM Studio, with the PyPI package ``gguf``.

Llama checkpoints keep their query and key weights for rotation by halves; llama.cpp rotates neighbouring pairs, so these
rows are interleaved on the way (Qwen models are rotated by halves there too and stay as they are).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from groundtune.errors import TrainingError
from groundtune.registry import missing
from groundtune.tuning.export_source import Source
from groundtune.tuning.gguf_words import Words, read_words

# transformers' model_type -> (architecture in GGUF, query and key rows are interleaved)
ARCHITECTURES = {
    "llama": ("llama", True),
    "mistral": ("llama", True),
    "qwen2": ("qwen2", False),
    "qwen3": ("qwen3", False),
}
KINDS = ("f32", "f16", "bf16", "q8_0")
KIND_OF = {"float32": "f32", "float16": "f16", "bfloat16": "bf16"}  # by the torch name of a type


def write_gguf(source: Source, path: Path, *, name: str, kind: str = "", facts: Mapping[str, str] | None = None) -> str:
    """Write ``path`` whole or not at all and return the kind of its weights (one of ``KINDS``; empty: the source's own).
    ``facts`` become strings ``groundtune.*`` in the file.

    Raises ``TrainingError`` for an architecture, a tokenizer or a kind of positions that is not supported, and
    ``MissingExtra`` without the export extra.
    """
    try:
        import gguf
    except ModuleNotFoundError as error:
        raise missing(error, "groundtune export --to gguf") from error
    config = source.model.config
    if config.model_type not in ARCHITECTURES:
        raise TrainingError("tuning.gguf_architecture", found=config.model_type, known=", ".join(ARCHITECTURES))
    architecture, interleaved = ARCHITECTURES[config.model_type]
    if architecture == "qwen2" and _head_size(config) * config.num_attention_heads != config.hidden_size:
        found = f"{config.model_type}, head_dim {_head_size(config)}"  # llama.cpp takes it from the width alone
        raise TrainingError("tuning.gguf_architecture", found=found, known=", ".join(ARCHITECTURES))
    kind = kind or KIND_OF.get(source.dtype, "f16")
    words = read_words(source.tokenizer, config.vocab_size)
    extra = _rope_tensor(config)
    temporary = path.with_name(f".{path.name}.part")
    writer = gguf.GGUFWriter(str(temporary), architecture)
    try:
        _settings(writer, config, source, name, kind)
        _words(writer, words, source)
        for key, value in (facts or {}).items():
            writer.add_string(f"groundtune.{key}", value)
        for tensor, array in [*extra, *_tensors(source.model, architecture, interleaved)]:
            _add(writer, tensor, array, kind)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return kind


def _settings(writer: Any, config: Any, source: Source, name: str, kind: str) -> None:  # noqa: ANN401
    import gguf

    heads, size = config.num_attention_heads, _head_size(config)
    rope = getattr(config, "rope_parameters", None) or {}
    types = {"f32": "ALL_F32", "f16": "MOSTLY_F16", "bf16": "MOSTLY_BF16", "q8_0": "MOSTLY_Q8_0"}
    writer.add_name(name)
    writer.add_file_type(int(getattr(gguf.LlamaFileType, types[kind])))
    if kind == "q8_0":
        writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_context_length(source.context)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(size)
    writer.add_value_length(size)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(size)
    writer.add_rope_freq_base(float(rope.get("rope_theta", 10000.0)))
    writer.add_vocab_size(config.vocab_size)
    if rope.get("rope_type") == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(float(rope["factor"]))


def _words(writer: Any, words: Words, source: Source) -> None:  # noqa: ANN401
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(words.pre)
    writer.add_token_list(list(words.tokens))
    writer.add_token_types(list(words.types))
    writer.add_token_merges(list(words.merges))
    if words.bos is not None:
        writer.add_bos_token_id(words.bos)
    ends = source.ends
    if ends:
        writer.add_eos_token_id(ends[0])  # what ends an answer, which is not always the tokenizer's end of text
        if len(ends) > 1:
            writer.add_eot_token_id(ends[1])
    if words.pad is not None:
        writer.add_pad_token_id(words.pad)
    writer.add_add_bos_token(words.adds_bos)
    writer.add_add_space_prefix(False)
    writer.add_chat_template(source.template)


def _rope_tensor(config: Any) -> list[tuple[str, Any]]:  # noqa: ANN401
    """llama3's scaling of slow rotations as the factors that llama.cpp divides by; empty for plain positions."""
    import numpy as np

    rope = getattr(config, "rope_parameters", None) or {}
    kind = rope.get("rope_type", "default")
    if kind in ("default", "linear"):
        return []
    if kind != "llama3":
        raise TrainingError("tuning.gguf_positions", kind=kind)
    size = _head_size(config)
    old, factor = rope["original_max_position_embeddings"], float(rope["factor"])
    low, high = float(rope["low_freq_factor"]), float(rope["high_freq_factor"])
    factors = []
    for index in range(0, size, 2):
        length = 2 * math.pi * float(rope["rope_theta"]) ** (index / size)
        if length < old / high:
            factors.append(1.0)
        elif length > old / low:
            factors.append(factor)
        else:
            smooth = (old / length - low) / (high - low)
            factors.append(1.0 / ((1 - smooth) / factor + smooth))
    return [("rope_freqs.weight", np.asarray(factors, dtype=np.float32))]


def _head_size(config: Any) -> int:  # noqa: ANN401
    return int(getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads)


def _tensors(model: Any, architecture: str, interleaved: bool) -> Iterator[tuple[str, Any]]:  # noqa: ANN401
    import gguf

    config = model.config
    arch = next(key for key, value in gguf.MODEL_ARCH_NAMES.items() if value == architecture)
    names = gguf.get_tensor_name_map(arch, config.num_hidden_layers)
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
    for key, tensor in model.state_dict().items():
        if key == "lm_head.weight" and config.tie_word_embeddings:
            continue
        found = names.get_name(key, try_suffixes=(".weight", ".bias"))
        if found is None:
            raise TrainingError("tuning.gguf_tensor", name=key, architecture=architecture)
        array = tensor.detach().float().cpu().numpy()
        part = key.split(".")[-2]
        yield found, interleave(array, heads[part]) if interleaved and part in heads else array


def interleave(array: Any, heads: int) -> Any:  # noqa: ANN401
    """Rows of each head from halves (0 … n/2-1, n/2 … n-1) to pairs (0, n/2, 1, n/2+1, …). Shape (heads * n, …)."""
    rows = array.shape[0] // heads
    halves = array.reshape(heads, 2, rows // 2, *array.shape[1:])
    return halves.swapaxes(1, 2).reshape(array.shape)


def _add(writer: Any, name: str, array: Any, kind: str) -> None:  # noqa: ANN401
    """Vectors stay in float32; a matrix whose rows are no multiple of 32 cannot be q8_0 and becomes f16."""
    import gguf
    import numpy as np

    if array.ndim == 1 or kind == "f32":
        writer.add_tensor(name, np.ascontiguousarray(array, dtype=np.float32))
        return
    chosen = "f16" if kind == "q8_0" and array.shape[-1] % 32 else kind
    if chosen == "f16":
        writer.add_tensor(name, array.astype(np.float16))
        return
    quantised = getattr(gguf.GGMLQuantizationType, chosen.upper())
    writer.add_tensor(name, gguf.quants.quantize(array, quantised), raw_dtype=quantised)
