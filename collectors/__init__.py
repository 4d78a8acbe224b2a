"""Who looks? One module for each source of evidence."""
