"""The page and the models over HTTP: who may ask, whose turn it is, what is answered."""
