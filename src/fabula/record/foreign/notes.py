"""Traps that are known of each format, told with every log that has them."""

NOTES = {
    "train_loss_is_average": "`train_loss` of the summary is the mean over the whole run, not its final loss; it is "
    "left out.",
    "window_mean": "`loss` is the mean of the steps since the line before ({steps}): what is shorter is "
    "flattened, and the first value is not the loss before the first update.",
    "nan_filtered": "The Trainer leaves losses that are not finite out of its means, unless it runs with "
    "logging_nan_inf_filter=False: finite losses do not prove that every step was finite; `grad_norm` is not filtered.",
    "zero_is_nan": "A loss of exactly 0 after {before} is what the Trainer writes where every loss since the last line "
    "was NaN; it is read as not finite (step {step}).",
    "maybe_scaled": "Some versions of the Trainer (4.46 among them) log the loss multiplied by the gradient "
    "accumulation; --accumulation lets fabula look for it, with --vocab where no held-out loss was logged.",
    "latest_checkpoint": "The log is that of the latest checkpoint, step {step} of {planned}; what came after it is "
    "not in the folder.",
    "steps_apart": "The training loss stands at every {steps}th step. Whether it is that step's or a mean since the "
    "line before, and whether steps were left out, the log does not say: an episode between two lines cannot be seen.",
    "sampled_chart": "W&B draws a chart from sampled points (values of one bin averaged, their least and greatest in "
    "__MIN and __MAX): an episode of a few steps may be missing or flattened. The whole history comes from "
    "run.scan_history().",
    "sampled_history": "W&B's run.history() gives 500 sampled lines unless asked for more: an episode of a few steps "
    "may be missing. The whole history comes from run.scan_history().",
    "sampled_download": "TensorBoard's download holds at most 1,000 sampled points of a curve: an episode of a few "
    "steps may be missing. The event files themselves hold all of them.",
    "steps_are_lines": "The lines carry no step, and no progress bar stands between them: line n of the training loss "
    "counts as step n. Steps below are lines, and the loss before the first update is not known.",
    "counted_from_zero": "nanoGPT counts its updates from 0: `iter n` is read as step n + 1, `step n` as the "
    "evaluation after n updates.",
    "last_micro_step": "`loss` of an `iter` line is that of the last micro-step alone: with gradient accumulation it "
    "scatters more than the loss of the whole batch.",
    "empty_is_nan": "{lines} lines look like the others but for an empty loss, which is how pandas and others write a "
    "NaN; they are read as not finite, from step {step}.",
    "several_runs": "The steps begin anew in the middle of the log: {runs} runs stand one after the other, and the "
    "last one is read.",
    "resumed": "Steps go back at {places}: read as a resume there; of a step that was made twice the later value "
    "counts.",
    "several_evaluations": "There are {sets} evaluation sets; `{name}` is read as the held-out loss.",
    "cut_off": "The last line is half written; it is left out.",
}
"""Kind -> sentence."""

Note = dict[str, str]


def note(kind: str, **values: object) -> Note:
    return {"kind": kind, "sentence": NOTES[kind].format(**values)}
