"""Models behind an API: asking for vectors, checking, keeping and accounting for them."""
