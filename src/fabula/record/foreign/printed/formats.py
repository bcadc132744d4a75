"""What is known of programs whose lines are more than names with numbers behind them.

An entry is the patterns of a program's lines. Their groups are named as columns are (names.py); what a line holds
beside them is read as pairs of names and numbers, as the lines of any other program are.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

NUMBER = r"[-+]?(?:(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|nan|inf(?:inity)?)(?![\w%]|\.\d)"
"""As a pattern matches it, whatever its case."""


@dataclass(frozen=True)
class Format:
    """Lines of a program. `later`: steps to add where a group counts from zero; `info`: what else the text says."""

    program: str
    lines: tuple[str, ...]
    notes: tuple[str, ...] = ()
    later: Mapping[str, int] = field(default_factory=dict)
    info: Callable[[str], dict[str, Any]] = lambda text: {}

    def __post_init__(self) -> None:
        patterns = tuple(re.compile(line.replace("NUMBER", NUMBER), re.IGNORECASE) for line in self.lines)
        object.__setattr__(self, "patterns", patterns)

    patterns: tuple[re.Pattern[str], ...] = field(init=False, default=())


def _of_nanogpt(text: str) -> dict[str, Any]:
    info: dict[str, Any] = {}
    if sizes := re.findall(r"(?:found vocab_size = |defaulting to vocab_size of GPT-2 to )(\d{2,9})\b", text):
        info["vocabulary"] = int(sizes[-1])
    if "Initializing a new model from scratch" in text:
        info["from_scratch"] = True
    return info


FORMATS = (
    Format(
        "nanoGPT",
        (
            r"\bstep (?P<step>\d+): train loss (?P<train_loss>NUMBER), val loss (?P<val_loss>NUMBER)",
            r"\biter (?P<iter>\d+): loss (?P<loss>NUMBER)(?=,|\s|$)(?!, iter time)",
            r"^(?P<iter>\d+) \| loss (?P<loss>NUMBER)(?= \| lr)",  # llama2.c's
        ),
        notes=("counted_from_zero", "last_micro_step"),
        later={"iter": 1},  # `iter n` is printed before update n + 1 is counted, `step n` before it is made
        info=_of_nanogpt,
    ),
    Format(
        "llm.c",
        (
            r"^s:\d+ eval:",  # the share of HellaSwag that it answers
            r"^s:(?P<step>\d+) tel:(?P<val_loss>NUMBER)",
            r"^s:(?P<step>\d+) trl:(?P<loss>NUMBER)",
        ),
    ),
    Format("minimind", (r"Epoch:\s?\[(?P<epoch>\d+)/\d+\]\s?\((?P<step>\d+)/(?P<planned_steps>\d+)\)",)),
    Format(
        "Megatron-LM and GPT-NeoX",
        (
            r"validation (?:loss|results) at .* on test set",  # after the last step
            r"validation (?:loss|results) at iteration (?P<step>\d+).*?\| lm[ _]loss(?: value)?: (?P<val_loss>NUMBER)",
            r"\biteration\s+(?P<step>\d+)/\s*(?P<planned_steps>\d+) \|(?=.*\blm[ _]loss:)",
        ),
    ),
    Format(
        "fairseq",  # the means of an epoch, which are no losses of its last step
        (
            r"^train \| epoch (?P<epoch>\d+) \| loss (?P<train_loss>NUMBER)(?:.*?\| ppl (?P<ppl>NUMBER))?"
            r".*?\| num_updates (?P<num_updates>\d+)\b.*",
        ),
    ),
    Format(
        "the examples of PyTorch",
        (
            r"Train Epoch: (?P<epoch>\d+) \[(?P<step>\d+)/(?P<planned_steps>\d+) \(\d+%\)\]",
            r"\bepoch\s+(?P<epoch>\d+) \|\s*(?P<step>\d+)/\s*(?P<planned_steps>\d+) batches \|",
            r"Test set: Average loss: (?P<val_loss>NUMBER)",
        ),
    ),
    Format(
        "Keras",
        (
            r"^(?P<step>\d+)/(?P<planned_steps>(?P=step)) (?:\[=+\]|\u2501+)(?= )(?=.*\bloss:)",
            r"^\d+/(?:\d+|Unknown) +(?:\[[=>.]+\]|\u2501+) .*\bloss:",  # within an epoch: the mean of it so far
        ),
    ),
    Format(
        "Marian",
        (
            r"\[valid\] Ep\. (?P<epoch>\d+) : Up\. (?P<step>\d+) : ce-mean-words : (?P<val_loss>NUMBER)",
            r"\[valid\] Ep\. (?P<epoch>\d+) : Up\. (?P<step>\d+) : perplexity : (?P<val_perplexity>NUMBER)",
            r"\[valid\] Ep\.",  # other measures
            r"Ep\. (?P<epoch>\d+) : Up\. (?P<step>\d+) :(?: Sen\. [\d,]+ :)? Cost (?P<loss>NUMBER)",
        ),
    ),
    Format(
        "ESPnet",
        (
            r"\b(?P<epoch>\d+)epoch:train:\d+-(?P<step>\d+)batch:",
            r"\b(?P<epoch>\d+)epoch results: .*?\[valid\].*?\bloss=(?P<val_loss>NUMBER).*",
        ),
    ),
    Format(
        "other programs",
        (
            r"E=(?P<epoch>\d+) B=(?P<step>\d+)(?=\s)",  # Sockeye's
            r"^(?P<step>\d+) +[\d.]+ ms run, .*? (?P<loss>NUMBER) loss,(?:.*? (?P<lr>NUMBER) LR\b)?",  # tinygrad's
            r"^Epoch (?P<epoch>[\d.]+) / \d+, i = (?P<step>\d+) / (?P<planned_steps>\d+), ",  # torch-rnn's
            r"^\d+m \d+s \(- -?\d+m -?\d+s\) \((?P<step>\d+) \d+%\) (?P<loss>NUMBER)",  # of a tutorial of PyTorch
            r"Score at iteration (?P<step>\d+) is (?P<loss>NUMBER)",  # Deeplearning4j's
            r"^#quality_metric: .*\bepoch=(?P<epoch>\d+), train \w+ <loss>=(?P<loss>NUMBER)",  # SageMaker's
            r"^#quality_metric: .*\bepoch=(?P<epoch>\d+), validation \w+ <loss>=(?P<val_loss>NUMBER)",
            r"^Saving dict for global step (?P<step>\d+):.*\bloss = (?P<val_loss>NUMBER)",  # TensorFlow's estimators
            # what was told before, once more; what a program says of other things
            r"^(?:(?:new )?best\b|[\w.]+(?:Error|Exception|Warning): |sample: |wandb:|"
            r"sav(?:ed|ing)\b(?!.*\b(?:val|eval)))",
            r"\b(?:val|valid|validation|eval|evaluation|test) loss (?:for \S+ )?(?:at|after|@|for) "
            r"(?:step|iter|iteration)s? (?P<step>\d+)\s*[:=]\s*(?P<val_loss>NUMBER)",
            r"\b(?:val|valid|validation) loss (?P<step>\d+):?\s+(?P<val_loss>NUMBER)",
            r"\btrain(?:ing)? loss (?P<step>\d+):?\s+(?P<loss>NUMBER)",
            r"^Train: (?P<epoch>\d+) \[\s*(?P<step>\d+)/\s*(?P<planned_steps>\d+) ",  # timm's
            # that of Swin and of the tutorial on GANs: `[3/25][50/1583]`
            r"(?:^|\b(?:train(?:ing)?|epoch):? *)\[(?P<epoch>\d+)/\d+\]\s*"
            r"\[\s*(?P<step>\d+)/\s*(?P<planned_steps>\d+)\s*\]",
            r"^\[(?P<epoch>\d+),\s*(?P<step>\d+)\](?=.*\bloss)",
            r"^(?P<step>\d+)\s*/\s*(?P<planned_steps>\d+)\s*:\s*(?P<loss>NUMBER)$",
            r"\bloss (?:at|after|@|for) (?:step|iter|iteration)s? (?P<step>\d+)\s*[:=]\s*(?P<loss>NUMBER)",
        ),
    ),
)
"""The first whose pattern fits reads the line; one without groups leaves it out."""
