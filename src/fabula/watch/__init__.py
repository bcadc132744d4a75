"""The report as a live page, and as messages to a chat: from records alone, in a process of its own, without torch."""
