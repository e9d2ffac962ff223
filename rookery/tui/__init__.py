"""What is shown on a terminal: folds over a run's events."""
