"""Adapters in and out of other frameworks; nothing imports them."""
