"""The data doctor: its checks by the name that `--allow` takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nearfield.registry import Registry

if TYPE_CHECKING:
    from nearfield.data.doctor.check import Check

CHECKS: Final[Registry[Check]] = Registry(
    "check of the doctor",
    {
        "swapped-columns": "nearfield.data.doctor.swapped:swapped_columns",
        "unused-columns": "nearfield.data.doctor.unused:unused_columns",
        "unknown-ids": "nearfield.data.doctor.judgements:unknown_ids",
        "leaked-queries": "nearfield.data.doctor.leaks:leaked_queries",
        "near-leaked-queries": "nearfield.data.doctor.leaks:near_leaked_queries",
        "similar-queries-across-splits": (
            "nearfield.data.doctor.leaks:similar_queries_across_splits"
        ),
        "shared-documents": "nearfield.data.doctor.leaks:shared_documents",
        "small-splits": "nearfield.data.doctor.sizes:small_splits",
        "empty-documents": "nearfield.data.doctor.empty:empty_documents",
        "empty-queries": "nearfield.data.doctor.empty:empty_queries",
        "one-character-texts": "nearfield.data.doctor.empty:one_character_texts",
        "missing-value-texts": "nearfield.data.doctor.placeholders:missing_value_texts",
        "printed-lists": "nearfield.data.doctor.placeholders:printed_lists",
        "duplicate-documents": "nearfield.data.doctor.duplicates:duplicate_documents",
        "near-duplicate-documents": "nearfield.data.doctor.duplicates:near_duplicate_documents",
        "duplicate-queries": "nearfield.data.doctor.duplicates:duplicate_queries",
        "near-duplicate-queries": "nearfield.data.doctor.duplicates:near_duplicate_queries",
        "duplicate-pairs": "nearfield.data.doctor.pairs:duplicate_pairs",
        "near-duplicate-pairs": "nearfield.data.doctor.pairs:near_duplicate_pairs",
        "repeated-positives": "nearfield.data.doctor.pairs:repeated_positives",
        "positive-among-negatives": "nearfield.data.doctor.pairs:positive_among_negatives",
        "no-negatives": "nearfield.data.doctor.pairs:no_negatives",
        "one-negative": "nearfield.data.doctor.pairs:one_negative",
        "one-score": "nearfield.data.doctor.pairs:one_score",
        "contradictory-scores": "nearfield.data.doctor.pairs:contradictory_scores",
        "contradictory-judgements": "nearfield.data.doctor.judgements:contradictory_judgements",
        "queries-without-positive": "nearfield.data.doctor.judgements:queries_without_positive",
        "one-positive": "nearfield.data.doctor.judgements:one_positive",
        "false-negatives": "nearfield.data.doctor.negatives:false_negatives",
        "query-is-document": "nearfield.data.doctor.negatives:query_is_document",
        "own-documents": "nearfield.data.doctor.own_documents:own_documents",
        "queries-among-documents": "nearfield.data.doctor.own_documents:queries_among_documents",
        "query-in-document": "nearfield.data.doctor.negatives:query_in_document",
        "easy-queries": "nearfield.data.doctor.easy:easy_queries",
        "shuffled-pairs": "nearfield.data.doctor.easy:shuffled_pairs",
        "truncated-texts": "nearfield.data.doctor.tokens:truncated_texts",
        "unread-language": "nearfield.data.doctor.language:unread_language",
        "missing-prompt": "nearfield.data.doctor.prompts:missing_prompt",
        "carried-prompt": "nearfield.data.doctor.prompts:carried_prompt",
    },
)
