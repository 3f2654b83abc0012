"""The encoder, the heads, the network and the model directory."""
