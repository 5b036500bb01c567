"""Aggregators: how the updates of a round become the next global model; never which site is believed."""
