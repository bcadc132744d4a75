"""A report's figures and tables as files for a paper."""
