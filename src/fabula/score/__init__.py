"""The yardstick: validation loss that no phase can move, and completions."""

import fabula.model.spinning  # noqa: F401 -- before torch, which reads these settings when it is loaded
