"""A query to a Ranking."""
