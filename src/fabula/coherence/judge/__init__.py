"""A language model as a judge of stories, with the tests that show whether it can be believed."""
