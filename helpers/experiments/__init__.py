"""Experiments: many trainings compared. Learning curves, the laboratory of faults, ways to fine-tune."""
