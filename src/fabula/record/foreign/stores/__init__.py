"""What trackers keep on this machine: W&B's offline runs, trackio's databases, MLflow's folders and database, Aim's
repository. Read without their packages, but for Aim's, whose format only Aim knows."""
