"""The commands that serve models, and that prove of a server that it serves them."""
