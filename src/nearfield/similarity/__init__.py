"""Embeddings to scores; higher is closer, always."""
