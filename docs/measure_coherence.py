"""Measures which measures of a story order human stories, well trained models, and badly trained ones.

python docs/measure_coherence.py --data DATA good=RUN,RUN... poor=RUN,RUN... [--samples N] [--tokens N]

DATA: the stories that the runs were trained on. The record goes to docs/measured/coherence.json, which
docs/coherence_page.py writes into docs/coherence.md.
"""

from __future__ import annotations

NAMED = ("consistency", "order", "prompt_returns", "rare_words")
"""Named before anything was measured, with the distance from human stories, which is made of all of them: each of these
is to be highest in human stories, lower in `good` (modern or packed) and lowest in `poor` (baseline)."""
