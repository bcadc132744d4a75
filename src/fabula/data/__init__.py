"""Stories to tokens: sources, the built-in grammar, tokenizers, prepared folders, batches."""
