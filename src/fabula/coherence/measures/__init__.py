"""What can be measured of a story without a judge: pure functions of text, without torch."""
