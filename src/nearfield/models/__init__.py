"""A checkpoint as torch sees it: backbones, heads, adapters, and operations on weights."""
