"""What several runs show together: effects, interactions, noise, each with its interval. No presentation.

>>> from pathlib import Path
>>> from fabula.study import read_ladder, sentence
>>> ladder = read_ladder([Path("docs/ladders/factorial-basic-2-percent")])
>>> [f"{each.name}: {each.verdict}" for each in ladder.effects if each.kind == "effect"]
['init: improved', 'cosine: worse', 'packed: no evidence']
>>> init = ladder.effects[0].comparisons["stream"].estimate
>>> f"{init.mean:.2f} nats per token, 95 % interval {init.low:.2f} to {init.high:.2f}"
'-7.15 nats per token, 95 % interval -7.63 to -6.66'
>>> [sentence(each).split(":")[0] for each in ladder.effects if each.kind == "interaction"][0]
'`init` and `cosine` are better together than their effects added up'
>>> (tier,) = ladder.tiers
>>> f"another seed alone: {tier.noise[0].pooled:.2f} nats on {tier.noise[0].protocol}"
'another seed alone: 0.53 nats on stream'
"""

from fabula.study.diagnosis import diagnose_ladder
from fabula.study.inference.effect_words import as_finding, sentence
from fabula.study.inference.effects import Comparison, Effect
from fabula.study.inference.noise import NoiseFloor
from fabula.study.ladder import read_ladder
from fabula.study.referee.comparing import Comparison as GroupComparison
from fabula.study.referee.comparing import compare
from fabula.study.referee.deciding import Terms
from fabula.study.referee.value import Asked
from fabula.study.summary import summary
from fabula.study.views import LadderView, PhaseView, RunView, TierView

__all__ = [
    "Asked",
    "Comparison",
    "Effect",
    "GroupComparison",
    "LadderView",
    "NoiseFloor",
    "PhaseView",
    "RunView",
    "Terms",
    "TierView",
    "as_finding",
    "compare",
    "diagnose_ladder",
    "read_ladder",
    "sentence",
    "summary",
]
