"""Measurements, rules and money become a verdict."""
