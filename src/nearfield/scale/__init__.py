"""The same training in many processes."""
