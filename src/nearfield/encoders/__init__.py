"""Models under their contracts."""
