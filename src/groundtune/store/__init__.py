"""One file per store, all held to one contract."""
