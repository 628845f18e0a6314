"""What made the data set and the base model, and what checks and runs the notebooks."""
