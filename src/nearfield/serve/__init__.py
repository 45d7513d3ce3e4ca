"""The server: queue and batching, the vendors' dialects over HTTP, certificates, the web page."""
