"""Models behind an API: what asks for their vectors, checks and keeps them, and accounts for them."""
