"""The four axes of federated training as tables: what there is, with which options, and what goes together."""
