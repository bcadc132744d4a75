"""Making a run: the step, the loop, optimizers, precision, guards."""

import fabula.model.spinning  # noqa: F401 -- before torch, which reads these settings when it is loaded
