"""Making a run: the step, the loop, optimizers, precision, guards."""
