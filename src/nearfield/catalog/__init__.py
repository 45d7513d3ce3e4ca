"""The known models, and how their files are fetched."""
