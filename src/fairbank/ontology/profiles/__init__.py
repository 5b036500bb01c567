"""The export profiles as data: tables from which documents, SHACL shapes and scorecards are made. It does no I/O."""
