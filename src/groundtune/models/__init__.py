"""Chat, reading and embedding models; one file per provider."""
