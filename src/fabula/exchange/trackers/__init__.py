"""Runs in the trackers that people use: record -> follower -> client.

A tracker is never told anything by a training. Another process reads the run folder, as anybody may, and sends on what
is new (`follower.py`), so that a tracker that fails or hangs holds no step up, and a run that ended long ago, or was
made by another program, is sent by the same code.
"""
