"""Carrying out a ladder's plan: every run that is missing, resumed where it stands, none repeated."""

import fabula.model.spinning  # noqa: F401 -- before torch, which reads these settings when it is loaded
