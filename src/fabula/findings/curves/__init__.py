"""What a curve shows by itself: its noise, where it leaves its level, its epochs, its rates."""
