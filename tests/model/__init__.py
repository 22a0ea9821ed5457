"""A model of both sink protocols, and a search that visits every state it can reach.

``python -m tests.model`` (``make model``) runs it; docs/model.md tells what is modelled.
"""
