"""What a log directory holds: event files, the index of a snapshot, the assets beside them."""
