"""Traps that are known of each format, told with every log that has them."""

NOTES = {
    "train_loss_is_average": "The `train_loss` of the summary is the mean over the whole run, not the final loss; it "
    "is not used.",
    "window_mean": "Each `loss` is the mean of the steps since the line before ({steps}): a shorter spike looks "
    "smaller than it was, and the first value is not the loss before the first update.",
    "nan_filtered": "The Trainer leaves out losses that are NaN or infinite when it takes means, unless it runs with "
    "logging_nan_inf_filter=False. So a finite loss does not prove that every step was finite; `grad_norm` is not "
    "filtered.",
    "zero_is_nan": "A loss of exactly 0 after {before} is what the Trainer writes if every loss since the last line "
    "was NaN; it is read as not finite (step {step}).",
    "maybe_scaled": "Some versions of the Trainer (4.46 among them) log the loss multiplied by the gradient "
    "accumulation. Give --accumulation, and --vocab if no validation loss was logged, to have this checked.",
    "latest_checkpoint": "The log is that of the latest checkpoint, step {step} of {planned}; later steps are not in "
    "the folder.",
    "steps_apart": "The training loss was logged every {steps} steps. The log does not say whether a value is that "
    "of one step or the mean since the line before. A spike between two lines cannot be seen.",
    "sampled_chart": "W&B draws a chart from a sample of the points (means, with the lowest and highest value in "
    "__MIN and __MAX): a spike of a few steps may be missing or look smaller. run.scan_history() gives all points.",
    "sampled_history": "W&B's run.history() gives a sample of 500 lines unless asked for more: a spike of a few "
    "steps may be missing. run.scan_history() gives all lines.",
    "sampled_download": "TensorBoard's download has a sample of at most 1,000 points of a curve: a spike of a few "
    "steps may be missing. The event files have all points.",
    "steps_are_lines": "The lines do not say their step, and there is no progress bar between them: line n of the "
    "training loss counts as step n. So the steps above are lines, and the loss before the first update is not "
    "known.",
    "lines_are_steps": "Nothing counts the steps of this log one by one: line n of the training loss counts as step n. "
    "So the steps above are lines.",
    "epochs_are_steps": "Nothing but `epoch` counts in this log: epoch n is read as step n, so the steps above are "
    "epochs.",
    "tokens_are_steps": "Nothing but `{name}` counts in this log: tokens are read as steps.",
    "steps_within_epochs": "`step` begins anew with each epoch: it is read as epoch x {length} + step.",
    "variants": "The column {names} tells {runs} runs apart, whose lines stand in one file; each is read by itself.",
    "first_rank": "{ranks} processes (`{name}`) wrote the same steps; the lines of {first} are read.",
    "splits_on_lines": "`{name}` says which split a line is of: `{loss}` is the validation loss on the lines of the "
    "validation split, and the training loss on the others.",
    "bits_as_nats": "The losses are in bits (the perplexity beside them is 2 to their power); they are read as nats, "
    "0.693 of what stands there.",
    "loss_of_perplexity": "The log has a perplexity and no loss beside it: its logarithm is read as {name}.",
    "named_columns": "{read} as you said with --columns.",
    "counted_from_zero": "nanoGPT counts its updates from 0: `iter n` is read as step n + 1, `step n` as the "
    "evaluation after n updates.",
    "last_micro_step": "The `loss` of an `iter` line is that of the last micro-step alone: with gradient "
    "accumulation it varies more than the loss of the whole batch.",
    "empty_is_nan": "{lines} lines have an empty loss, as pandas and other programs write a NaN; they are read as "
    "not finite, from step {step} on.",
    "placeholders": "`{name}` is {filler} on {lines} lines between evaluations, which says that nothing was measured "
    "there.",
    "several_runs": "The steps start again in the middle of the log: it has {runs} runs one after the other, and the "
    "last one is read.",
    "resumed": "The steps go back at {places}, which is read as a resume: of a step that was made twice, the later "
    "value counts.",
    "nameless": "Nothing names the columns of this log: column {step} is read as the step, for it grows by equal "
    "strides, and column {loss} as the training loss, for it is the one that falls. If they are others, say it with "
    "--columns step=1,loss=2.",
    "nameless_list": "The log has numbers, one after the other, and nothing names them: they are read as the training "
    "loss, for they fall, and number n as that of step n.",
    "spread_list": "`{name}` has {values} values for {lines} lines, and nothing says of which: value n is read as that "
    "of line {apart} x n.",
    "uneven_list": "`{name}` has {values} values for {lines} lines, and nothing says of which; it is not used.",
    "of_rewards": "`{reward}` stands beside `{loss}`: a policy learns here, and its loss rises and falls with what the "
    "policy meets. It says nothing of how good the model is and is not judged, unless you say --columns loss={loss}.",
    "looks_inside": "{what} {of} are read as looks inside the model; layers have the log's own numbers.",
    "several_evaluations": "There are {sets} evaluation sets; `{name}` is read as the validation loss.",
    "cut_off": "The last line is incomplete; it is not used.",
}
"""Kind -> sentence."""

Note = dict[str, str]


def note(kind: str, **values: object) -> Note:
    return {"kind": kind, "sentence": NOTES[kind].format(**values)}
