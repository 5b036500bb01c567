"""The hub's side of jobs: dispatch, rounds, results, models. It never sees an image."""
