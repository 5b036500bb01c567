"""Federated statistics: what one site sums up over its subjects, and what the hub makes of the sums. No row leaves."""
