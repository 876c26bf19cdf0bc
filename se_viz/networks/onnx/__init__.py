"""Networks from ONNX files: read in a child process, simplified, converted, compared with
onnxruntime.

Why: docs/decisions/047-onnx-files.md
"""
