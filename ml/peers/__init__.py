"""What others predict of the same customers on the same dates."""
