"""The parts of a page, one a file: records and findings in, blocks out."""
