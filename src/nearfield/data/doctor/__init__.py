"""The data doctor's checks by the name that `--allow` takes: where each lives, and what it
examines.
"""

from __future__ import annotations

COLLECTION, PAIRS = "collection", "pairs"
BOTH = (COLLECTION, PAIRS)

CHECKS: dict[str, tuple[str, tuple[str, ...]]] = {
    "swapped-columns": ("swapped:swapped_columns", BOTH),
    "unused-columns": ("unused:unused_columns", BOTH),
    "unknown-ids": ("judgements:unknown_ids", (COLLECTION,)),
    "leaked-queries": ("leaks:leaked_queries", (COLLECTION,)),
    "near-leaked-queries": ("leaks:near_leaked_queries", (COLLECTION,)),
    "similar-queries-across-splits": ("leaks:similar_queries_across_splits", (COLLECTION,)),
    "shared-documents": ("leaks:shared_documents", (COLLECTION,)),
    "small-splits": ("sizes:small_splits", (COLLECTION,)),
    "empty-documents": ("empty:empty_documents", BOTH),
    "empty-queries": ("empty:empty_queries", BOTH),
    "one-character-texts": ("empty:one_character_texts", BOTH),
    "missing-value-texts": ("placeholders:missing_value_texts", BOTH),
    "printed-lists": ("placeholders:printed_lists", BOTH),
    "duplicate-documents": ("duplicates:duplicate_documents", (COLLECTION,)),
    "near-duplicate-documents": ("duplicates:near_duplicate_documents", (COLLECTION,)),
    "duplicate-queries": ("duplicates:duplicate_queries", (COLLECTION,)),
    "near-duplicate-queries": ("duplicates:near_duplicate_queries", (COLLECTION,)),
    "duplicate-pairs": ("pairs:duplicate_pairs", (PAIRS,)),
    "near-duplicate-pairs": ("pairs:near_duplicate_pairs", (PAIRS,)),
    "repeated-positives": ("pairs:repeated_positives", (PAIRS,)),
    "positive-among-negatives": ("pairs:positive_among_negatives", (PAIRS,)),
    "no-negatives": ("pairs:no_negatives", (PAIRS,)),
    "contradictory-scores": ("pairs:contradictory_scores", (PAIRS,)),
    "contradictory-judgements": ("judgements:contradictory_judgements", (COLLECTION,)),
    "queries-without-positive": ("judgements:queries_without_positive", (COLLECTION,)),
    "one-positive": ("judgements:one_positive", BOTH),
    "false-negatives": ("negatives:false_negatives", (COLLECTION,)),
    "query-is-document": ("negatives:query_is_document", BOTH),
    "own-documents": ("own_documents:own_documents", (COLLECTION,)),
    "queries-among-documents": ("own_documents:queries_among_documents", (COLLECTION,)),
    "query-in-document": ("negatives:query_in_document", BOTH),
    "easy-queries": ("easy:easy_queries", (COLLECTION,)),
    "truncated-texts": ("tokens:truncated_texts", BOTH),
    "unread-language": ("language:unread_language", BOTH),
    "missing-prompt": ("prompts:missing_prompt", BOTH),
    "carried-prompt": ("prompts:carried_prompt", BOTH),
}

CHEAP = tuple(
    name
    for name in CHECKS
    if "near-" not in name
    and name not in ("similar-queries-across-splits", "false-negatives", "easy-queries")
)
"""The checks that compare no texts with all others: what a measurement can afford to ask
before it.
"""
