"""What setup.py does beyond copying Python files. Not installed with the package."""
