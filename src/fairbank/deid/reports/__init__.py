"""What is told of de-identification to people and programs: HTML, JSON and provenance, free of anything identifying."""
