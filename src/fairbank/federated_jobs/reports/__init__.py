"""Trainings as people look at them: from a record to a page, a screen of a terminal, event files and rows."""
