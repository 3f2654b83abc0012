"""Answering over HTTP: `create_app` for one's own server, `Server` for ``mtl serve``. No torch: see `runtime`."""
