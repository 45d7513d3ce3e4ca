"""Measures, significance and cost; numbers only."""
