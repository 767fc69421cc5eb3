"""What is on disk: its format, the writer, the reader, and the callbacks that log."""
