"""The built-in story grammar: a seeded generator of short stories, each with its exact log-probability.

    generate(seed, index) -> Story    stories(seed, start, stop) -> Iterator[Story]    log_probability(text) -> float

docs/grammar.md says what it is and what the bound drawn in reports means.
"""

from fabula.grammar.telling import Story, generate, log_probability, stories

__all__ = ["Story", "generate", "log_probability", "stories"]
