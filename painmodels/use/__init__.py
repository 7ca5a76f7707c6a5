"""A trained row in use: models in folders, prediction on files, arrays and streams, ONNX, plots."""
