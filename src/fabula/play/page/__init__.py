"""The page itself: plain HTML, style and script, put together as one text.

It speaks to its models through an engine, which is a script of its own: `server_engine.js` asks this machine's server,
and a page that is to work alone (`fabula export --to html`) brings another one. What an engine is, engine.md says.
"""

MOST_MODELS = 4
"""Side by side: more columns are too narrow to read."""
