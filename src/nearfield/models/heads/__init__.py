"""States to embeddings."""
