"""Tested helpers of the Pocket Captions notebooks."""
