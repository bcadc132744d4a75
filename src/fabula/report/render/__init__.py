"""From blocks to HTML and to Markdown."""
