"""How fast does the lake path drain a backlog?"""
