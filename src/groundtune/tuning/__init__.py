"""Examples to checked data to an adapter."""
