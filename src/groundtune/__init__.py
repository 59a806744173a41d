"""groundtune: ground it or tune it? Measure, then run the winner."""
