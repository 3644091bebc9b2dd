"""What to choose a model by: histories over past dates, what each feature is worth, tuning."""
