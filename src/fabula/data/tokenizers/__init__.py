"""Tokenizers: the byte-level BPE that all are, GPT-2's, and the choice by name."""
