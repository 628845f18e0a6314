"""Sharing a captioner on the Hub, with a model card."""

from helpers.hub.sharing import share
