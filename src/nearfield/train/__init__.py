"""Pairs and an encoder to a better encoder, or to the proof that it is not."""
