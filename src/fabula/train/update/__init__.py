"""One optimizer update: who decides on it, the optimizers, their rates, and a look inside."""
