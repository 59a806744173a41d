# Two commands matter: `make demo` and `make test`. PYTHON picks the interpreter (3.11 or newer).
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
LANG_DEMO ?= en
DATA   ?=
export OMP_NUM_THREADS ?= 1
export OPENBLAS_NUM_THREADS ?= 1
export TOKENIZERS_PARALLELISM ?= false
export HF_HUB_OFFLINE ?= 1

.PHONY: demo test lint bench real clean

# torch first and pinned: whatever else is installed then finds it satisfied and pulls no CUDA packages.
$(BIN)/.demo: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check torch==2.13.0
	$(BIN)/pip install --quiet --disable-pip-version-check -e ".[tune]"
	@touch $@

$(BIN)/.dev: $(BIN)/.demo
	$(BIN)/pip install --quiet --disable-pip-version-check -e ".[tune,serve,openai,gemini,docs,hosted,export,llama,langchain,llamaindex,pgvector,lancedb,qdrant,weaviate,pinecone,anthropic,rerank,ray,dev]"
	@touch $@

demo: $(BIN)/.demo
	$(BIN)/groundtune demo --folder out/demo-$(LANG_DEMO) --lang $(LANG_DEMO)

lint: $(BIN)/.dev
	$(BIN)/ruff check src tests recipes benchmarks cases examples
	$(BIN)/ruff format --check src tests
	$(BIN)/mypy

test: lint
	$(BIN)/python -m pytest

bench: $(BIN)/.dev
	@test -n "$(DATA)" || (echo "make bench DATA=path/to/development/data" && exit 2)
	$(BIN)/python benchmarks/retrieval.py --data $(DATA)

real: $(BIN)/.demo
	@test -n "$(DATA)" || (echo "make real DATA=path/to/development/data" && exit 2)
	$(BIN)/python benchmarks/real_text.py --data $(DATA)

clean:
	rm -rf $(VENV) out build dist
