"""Judgements of relevance: what to judge, by whom, and how far judges agree."""
