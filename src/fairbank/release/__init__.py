"""The one door of a node: typed outputs, suppression, gate, outbox, ledger. Nothing passes by it."""
