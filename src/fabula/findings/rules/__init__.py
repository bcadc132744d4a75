"""One rule a function: a record or a recipe in, findings out."""
