"""Model folders that sentence-transformers opens too, written."""
