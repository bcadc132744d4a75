"""What other programs call the columns of a record."""

import re
from collections.abc import Iterable

from fabula.errors import InputError
from fabula.record.foreign.abroad import in_english

SYNONYMS: dict[str, tuple[str, ...]] = {
    # Where a log has several counters, the one of optimizer updates comes first. W&B's `_step` counts log calls.
    "step": (
        *("train_global_step", "trainer_global_step", "global_step", "optimizer_step", "step", "steps"),
        *("train_step", "training_step", "num_updates", "updates", "update", "iteration", "iterations", "iter"),
        *("iter_num", "train_iter", "it", "current_steps", "current_step", "global_steps", "optimizer_steps"),
        *("opt_step", "update_step", "train_steps", "training_steps", "step_num", "step_number", "step_idx"),
        "step_i",
        *("train_iteration", "training_iteration", "iters", "itr", "n_iter", "num_iters", "timestep"),
        *(
            "global_step_max_steps",
            "train_num_updates",
            "valid_num_updates",
            "batch_idx",
            "batch_num",
            "batch_id",
            "batch",
            "batches",
            "total_batches",
            "_step",
        ),
    ),
    "epoch": (
        *("epoch", "train_epoch", "training_epoch", "current_epoch", "epoch_num", "epoch_number", "epoch_idx", "ep"),
        *("num_epoch", "epochs"),
    ),
    "planned_steps": ("total_steps", "max_steps", "total_iters", "total_iterations", "max_iters", "planned_steps"),
    "loss": (
        *("train_loss_step", "batch_loss", "loss", "step_loss", "train_batch_loss", "train_loss_batch", "loss_raw"),
        *("raw_loss", "mini_batch_loss", "minibatch_loss"),
    ),
    # The loss of the step, or the training split by the validation's protocol: `tables.to_run` tells them apart.
    "train_loss": (
        # T5X's `train/loss` is a sum over the tokens of the batch.
        *("train_loss_per_nonpadding_target_token", "train_loss_per_all_target_tokens"),
        *("train_loss", "training_loss", "loss_train", "loss_training", "train_lm_loss", "lm_loss", "losses_train"),
        *("optim_loss", "train_ce_loss", "train_cross_entropy_loss", "train_crossentropyloss", "reduced_train_loss"),
        *("loss_train_total", "metrics_train_languagecrossentropy", "avg_loss", "average_loss", "mean_loss"),
        *("running_loss", "loss_avg", "loss_mean", "avg_train_loss", "average_train_loss", "mean_train_loss"),
        *("cross_entropy", "cross_entropy_loss", "crossentropyloss", "ce_loss", "train_nll_loss", "nll_loss", "xent"),
        *("train_ce", "train_nll", "train_xent", "ce", "nll"),
        *(
            "train_losses",
            "total_loss",
            "train_total_loss",
            "trn_loss",
            "tr_loss",
            "main_loss",  # Chainer's `main/loss`
            "train_loss_mean",
            "train_loss_avg",
            "trainloss",
            "loss_out",
            "epoch_loss",
            "global_avg_loss",
        ),
        *("avr_loss", "train_logloss", "train_mlogloss", "mlm_loss", "avg_sample_loss"),
        *("training", "train", "trn", "learn"),
    ),
    "val_loss_subset": ("val_loss_subset",),
    "val_loss": (
        *("val_loss", "valid_loss", "validation_loss", "eval_loss", "loss_val", "loss_valid", "loss_validation"),
        *("loss_eval", "losses_val", "dev_loss", "heldout_loss", "held_out_loss", "val_lm_loss", "val_loss_epoch"),
        *("val_ce_loss", "eval_ce_loss", "avg_val_loss", "mean_val_loss", "val_losses", "valloss", "eval_avg_loss"),
        *("metrics_eval_languagecrossentropy", "valid_nll_loss", "evaluation_loss", "loss_dev", "vloss"),
        *("vld_loss", "va_loss", "val_loss_mean", "val_loss_avg", "eval_loss_mean", "eval_loss_avg", "holdout_loss"),
        *("validation_cross_entropy", "eval_logloss", "eval_mlogloss", "valid_logloss", "test_logloss"),
        *("lm_loss_validation", "val_ce", "val_nll", "val_xent", "valid_ce", "valid_nll", "eval_ce", "eval_nll"),
        *("test_loss", "loss_test", "validation", "valid", "val", "vld", "eval", "dev", "held_out", "heldout"),
        *("holdout", "test"),
    ),
    "perplexity": ("perplexity", "ppl", "pplx", "train_perplexity", "train_ppl", "training_perplexity", "lm_loss_ppl"),
    "val_perplexity": (
        *("val_perplexity", "val_ppl", "valid_perplexity", "valid_ppl", "validation_perplexity", "validation_ppl"),
        *("eval_perplexity", "eval_ppl", "test_perplexity", "test_ppl", "dev_ppl"),
    ),
    "grad_norm": (
        *("grad_norm", "train_grad_norm", "gradient_norm", "train_gradient_norm", "global_grad_norm", "gnorm"),
        *("total_grad_norm", "optim_total_grad_norm", "grad_norm_total", "gradnorm", "norm", "total_norm"),
        *("train_gnorm", "grad", "gradient", "grads", "train_grad", "grad_l2", "l2_norm_grad_global"),
    ),
    "learning_rate": (
        *("learning_rate", "train_learning_rate", "lr", "train_lr", "optim_lr", "optim_learning_rate_group0"),
        *("learning_rate_step", "lr_step", "learning_rate_group0", "lr_group0", "current_lr", "optim_lr_group0"),
        *("current_learning_rate", "learningrate", "optimizer_lr", "lr_0", "epoch_learning_rate", "l_r", "optim0_lr0"),
    ),
    "tokens": (
        *("tokens", "num_tokens", "tokens_seen", "total_tokens", "train_tokens", "consumed_tokens"),
        *("num_input_tokens_seen", "train_num_input_tokens_seen", "throughput_total_tokens", "trained_tokens"),
    ),
}
"""Canonical name (docs/run-folder.md) -> what it is called elsewhere, the best first, as `normalized` writes it."""

PATTERNS = {
    # Lightning's monitor: lr-AdamW; not a factor of the rate, or where its schedule begins
    "learning_rate": re.compile(
        r"(?:lr|learning_rate)_(?!mul|scale|factor|ratio|decay|warm|min|max|end|final|sched|pct|percent|x\d|\d+e_?\d)\w+"
    ),
    # the Trainer with several evaluation sets; OLMo's and Composer's evaluations
    "val_loss": re.compile(
        r"(eval|val|valid|validation)_\w+_loss|eval_\w+_crossentropyloss"
        r"|(?!best|min|lowest|prev|last|ema|smooth)[a-z0-9]\w*_(?:eval|val|valid|validation)_loss"
    ),
}
"""Asked where no synonym fits."""

UNSURE = set(
    "train training trn learn val vld valid validation eval dev held_out heldout holdout test batch it ep".split()
)
"""Names of other things as well: they count only where the column has numbers that differ."""
COUNTS = ("step", "tokens", "planned_steps")
"""Columns of whole numbers."""

WRAPPING = re.compile(
    r"^(?:(?:data|metrics?|logs?|stats|scalars|values|payload|history|results?|optim(?:izer)?|opt|learning(?!_rate)|loss_metrics)_)+"
    r"(?=.)"
)
"""What programs put before all of their names, or those of a kind: `{"data": {"step": 1, "loss": 3.2}}`."""

HELD_OUT = set("val valid validation validate eval evaluation evaluate heldout".split())
TRAINS = set("train training trn".split())

UNIT = re.compile(r"\s*[(\[](?!.*(?:bit|[\d%‰]))[^()\[\]]*[)\]]\s*$", re.IGNORECASE)
"""A unit or a remark behind a name: `loss (nats)`. Bits are no nats, and a factor such as x1e-3 is not known here."""
REWARD = re.compile(
    r"(?:\w+_)?(?:rewards?|rew|ep_?rew_?mean|episod\w*_returns?)(?:_(?!chosen|rejected|margin|accurac)\w+)?"
)
"""What a policy earns; preferences (`rewards/chosen`) are learned by a loss like others."""
_OF_MANY = re.compile(r"_?(?:history|hist|list|log|values|vals|curve|per_step)$|^(?:all|history|list_of)_")
"""Of `loss_history` and `all_losses`, what says nothing but that there are many."""
WHOLE_RUN_AVERAGE = "train_train_loss"
"""`train/train_loss`: what the Trainer's summary is called in TensorBoard and W&B, beside `train/loss`."""


def normalized(name: str) -> str:
    """`Train/Grad-Norm` and `train.grad_norm` become `train_grad_norm`; a leading underscore stays."""
    name = name.strip().lower().replace("%", " pct ")
    return ("_" if name.startswith("_") else "") + in_english(re.sub(r"[\W_]+", "_", name).strip("_"))


def of_one(name: str) -> str:
    """What one value of a list is called, if the list's own name means nothing.

    >>> of_one("self.val_losses"), of_one("loss_history"), of_one("train_losses"), of_one("sizes")
    ('val_losses', 'loss', 'train_losses', 'sizes')
    """
    short = normalized(name.rpartition(".")[2])
    single = _OF_MANY.sub("", short).replace("losses", "loss").replace("perplexities", "perplexity")
    return next((each for each in (name, short, single, single.removesuffix("s")) if recognize([each])), name)


def of_held_out(name: str) -> bool:
    """Whether a run, a file or a heading is named after stories that are not trained on.

    >>> of_held_out("runs_first_validation"), of_held_out("train_test_1"), of_held_out("contest")
    (True, False, False)
    """
    words = set(normalized(name).split("_"))
    return bool(words & HELD_OUT) and not words & TRAINS


def columns_said(text: str) -> dict[str, str]:
    """`step=n,loss=y`: canonical name -> column. Raises InputError for what is not written so.

    >>> columns_said("step=n, lr=rate")
    {'step': 'n', 'learning_rate': 'rate'}
    """
    columns = {}
    for part in text.split(","):
        given, sign, column = (each.strip() for each in part.partition("="))
        canonical = next(iter(recognize([given])), None) if given else None
        if not sign or not column or canonical is None:
            raise InputError(
                f'--columns cannot read "{part.strip()}"; write NAME=COLUMN with commas between, for example '
                f"step=n,loss=y; the names are {', '.join(SYNONYMS)}"
            )
        columns[canonical] = column
    return columns


def recognize(names: Iterable[str]) -> dict[str, str]:
    """Canonical name -> the one of `names` that means it, for those that are there.

    >>> recognize(["_step", "train/global_step", "train/loss", "eval/loss", "colour"])
    {'step': 'train/global_step', 'train_loss': 'train/loss', 'val_loss': 'eval/loss'}
    """
    given: dict[str, str] = {}
    for name in names:
        given.setdefault(normalized(name), name)
    for name in list(given.values()):
        given.setdefault(normalized(UNIT.sub("", name)), name)
    for short, name in list(given.items()):
        given.setdefault(WRAPPING.sub("", short), name)
    for name in list(given.values()):  # `globalStep`
        given.setdefault(normalized(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)), name)
    chosen = {}
    for canonical, synonyms in SYNONYMS.items():
        found = next((given[each] for each in synonyms if each in given), None)
        if found is None and canonical in PATTERNS:
            found = next((name for each, name in given.items() if PATTERNS[canonical].fullmatch(each)), None)
        if found is not None:
            chosen[canonical] = found
    if "val_loss" in chosen and not chosen.keys() & {"loss", "train_loss"}:
        trained = given.get(re.sub(r"^(?:val|valid|validation|eval)_", "train_", normalized(chosen["val_loss"])))
        if trained not in (None, chosen["val_loss"]):  # `train/box_loss` of `val/box_loss`
            chosen["train_loss"] = trained
    return chosen
