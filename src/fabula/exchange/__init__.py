"""The way out to Hugging Face and llama.cpp, and the way in."""
