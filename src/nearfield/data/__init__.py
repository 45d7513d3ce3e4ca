"""Files to queries, documents, relevance judgements and pairs."""
