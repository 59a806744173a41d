"""The candidates: ways to adapt a model, all with the same two verbs (fit, answer)."""
