"""How fast does the hot path drain a backlog?"""
