"""An example of a groundtune plugin: one of each kind."""
