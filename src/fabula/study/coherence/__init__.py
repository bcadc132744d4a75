"""What an evaluation's completions show: counts with the completions behind them, patterns, scores with intervals."""
