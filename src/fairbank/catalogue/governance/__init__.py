"""Access requests and who decides about them: workflow, committees, votes, grants."""
