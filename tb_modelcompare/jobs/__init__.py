"""What is computed in the background, one module for each kind of job."""
