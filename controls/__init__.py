"""What do we claim? The catalogue of claims, criteria and verdict types."""
