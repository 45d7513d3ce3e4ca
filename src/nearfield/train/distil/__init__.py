"""Small models that take after large ones."""
