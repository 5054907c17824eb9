"""What is known of each firmware family, as data."""
