"""The way out to Hugging Face and llama.cpp, and the way in."""

import fabula.model.spinning  # noqa: F401 -- before torch, which reads these settings when it is loaded
