"""Servers that the contract suites share."""

from store_servers import postgres, qdrant  # noqa: F401 - fixtures
