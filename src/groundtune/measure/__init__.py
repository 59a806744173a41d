"""Runs the approaches on held-out items, scores them and says how sure the numbers are."""
