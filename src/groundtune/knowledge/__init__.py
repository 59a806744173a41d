"""Files to documents, documents to chunks, what changed, and answers with checked citations."""
