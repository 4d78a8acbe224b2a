"""Who runs it all? Command line, configuration, pipeline, twin and embedded servers."""
