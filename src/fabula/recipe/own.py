"""What of a recipe is code of its maker's own. It is named here, and run by whoever makes a run, or trusts one."""

from typing import Annotated

from pydantic import Field

from fabula.recipe.section import Section

Function = Annotated[str, Field(pattern=r"^$|^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")]
"""As module:function; empty: none."""


class Own(Section):
    """Parts of the user's own, each as module:function (docs/your-model.md); empty: fabula's."""

    model: Function = ""
    """Called as function(recipe, vocabulary): a torch.nn.Module that makes logits of tokens."""
    optimizer: Function = ""
    """Called as function(model, settings, learning_rate): a torch.optim.Optimizer; `settings` is the section
    `optimizer`."""
    schedule: Function = ""
    """Called as function(step, num_steps, recipe): the learning rate of update `step`, from 1 to `num_steps`. What the
    section `schedule` says is then what this function makes of it."""
    batches: Function = ""
    """Called as function(data, recipe, seed): an object whose batch(number, micro_step) is a pair of inputs and
    targets, of `batch.rows` and `model.context`. `batch.layout` is then unused."""

    def named(self) -> dict[str, str]:
        """What is the user's own, and its name."""
        return {field: name for field, name in self.model_dump().items() if name}
