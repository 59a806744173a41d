"""How libraries behave while something long runs: what they say, and on how many threads they compute."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from groundtune.registry import missing


@contextmanager
def quiet(command: str) -> Iterator[None]:
    """No progress bars and notices of libraries between our own lines. Raises ``MissingExtra``, which names ``command``."""
    import warnings

    try:
        from transformers.utils import logging
    except ModuleNotFoundError as error:
        raise missing(error, command) from error
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(verbosity)


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Computing with torch on ``count`` threads."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
