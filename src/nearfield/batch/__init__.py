"""Items to tensors: prompts, tokens, batches of a token budget."""
