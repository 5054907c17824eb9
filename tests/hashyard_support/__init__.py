"""What several kinds of tests share: simulated sites as processes, and what asks them for the truth."""
