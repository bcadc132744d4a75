"""Rules on losses: how they run, where they break, and whether they are what they seem."""
