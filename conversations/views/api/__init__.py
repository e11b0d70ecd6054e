"""`/api/v1/`: what a person's own programs can do, with a token.

`docs/api.md` describes it for people, `openapi.json` for programs.
"""
