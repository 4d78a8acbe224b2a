"""The static trust portal."""
