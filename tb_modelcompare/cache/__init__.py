"""Results and values that were computed before, found again by their contents."""
