"""Scripts in which a text has no blanks between its words."""

from __future__ import annotations

from typing import Final

UNSPACED: Final = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
"""Ranges of a regular expression's set: kana, Han, Thai, Lao, Burmese, Khmer. Each of their characters counts as a word."""
