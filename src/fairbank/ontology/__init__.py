"""The information model, vocabularies, data-use terms and signed objects. It does no I/O."""
