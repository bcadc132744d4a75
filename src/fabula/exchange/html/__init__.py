"""A model, its tokenizer and a decoder for them, as texts that one HTML file holds."""
