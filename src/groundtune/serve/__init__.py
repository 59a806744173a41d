"""The endpoint: OpenAI-compatible API and web page. The only asynchronous room."""
