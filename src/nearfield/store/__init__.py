"""The on-disk formats. Everything is written beside its place and moved there whole."""
