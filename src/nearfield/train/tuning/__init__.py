"""Runs that tune an encoder: in one stage or in several."""
