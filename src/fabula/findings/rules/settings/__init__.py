"""Rules on what was set: the recipe's set-up, and the learning rate, planned and recorded."""
