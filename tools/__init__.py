"""What made the data sets and the base model, and what checks and runs the notebooks."""
