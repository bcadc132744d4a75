"""What a ladder's phases show beside their effects: equal time, what changed with them, order, chosen rates."""
