"""Whether a story holds together: told from its own sentences in disorder, another's second half, changed pronouns."""
