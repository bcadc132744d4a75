"""What loss a model of some size reaches with some tokens, learned from runs that are kept."""
