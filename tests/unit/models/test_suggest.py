from groundtune.models.catalogue import ModelInfo
from groundtune.models.suggest import Machine, suggest, this_machine

GIB = 1024**3
BUILT_IN = (
    ModelInfo("builtin:base", True, "model", 20_000_000),
    ModelInfo("builtin:reader", True, "reader", 11_000_000),
    ModelInfo("builtin:embed", True, "embedder", 6_000_000),
)


def test_only_the_built_in_ones():
    found = suggest(BUILT_IN, Machine(2, 8 * GIB, False))
    assert (found.base, found.reader, found.embedder) == ("builtin:base", "builtin:reader", "builtin:embed")
    assert (found.larger, found.billions) == ("ollama:qwen3:4b", 4)
    assert suggest(BUILT_IN, Machine(2, 2 * GIB, False)).larger == ""
    assert suggest(BUILT_IN, Machine(2, 64 * GIB, False)).billions == 8
    assert suggest(BUILT_IN, Machine(8, 64 * GIB, True)).billions == 32
    assert suggest(BUILT_IN, Machine(2, 0, False)).larger == ""


def test_the_largest_local_model_that_fits_wins_over_a_provider():
    local = (
        ModelInfo("ollama:a:1b", True, "model", 1 * GIB),
        ModelInfo("hf:b/4b", True, "model", 4 * GIB),
        ModelInfo("hf:c/70b", True, "model", 40 * GIB),
        ModelInfo("hf:d/off", False, "model", 2 * GIB),
        ModelInfo("openai:", True),
    )
    found = suggest((*BUILT_IN, *local), Machine(4, 16 * GIB, False))
    assert (found.base, found.larger) == ("hf:b/4b", "")
    assert suggest((*BUILT_IN, local[2], local[4]), Machine(4, 16 * GIB, False)).base == "openai:"


def test_this_machine_has_cores():
    assert this_machine().cores >= 1
