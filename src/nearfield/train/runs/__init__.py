"""What ends in a verdict: tune, reranker, adapt, bridge, distil."""
