"""Embeddings and texts to something that can be searched."""
