"""Specs to objects: unknown names, missing extras."""

import builtins

import pytest

from groundtune import registry
from groundtune.errors import MissingExtra, SpecError


def test_unknown_provider_suggests_the_nearest():
    with pytest.raises(SpecError, match="Did you mean “openai”"):
        registry.load("model", "opena:gpt")


def test_missing_package_names_its_extra(monkeypatch):
    real = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name.partition(".")[0] == "transformers":
            raise ModuleNotFoundError("No module named 'transformers'", name="transformers")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    monkeypatch.setitem(registry._BUILT_IN, "model", {"hf": "groundtune.models.hf:open_model"})
    with pytest.raises((MissingExtra, ModuleNotFoundError)) as caught:
        registry.load("model", "hf:some/model")
    assert isinstance(caught.value, MissingExtra)
    assert "groundtune[tune]" in str(caught.value)


def test_every_built_in_is_importable_as_a_string():
    for kind, table in registry._BUILT_IN.items():
        for provider in table:
            assert callable(registry.resolve(kind, provider)), (kind, provider)
