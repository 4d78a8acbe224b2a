"""Documents for people who want paper: PDFs rendered from the compiled claims."""
