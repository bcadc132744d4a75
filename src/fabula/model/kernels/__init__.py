"""Optional C, compiled for this processor, each beside a plain form that computes the same."""
