"""`/v1/completions` and `/v1/models` as OpenAI has them, so that other programs can use the models."""
