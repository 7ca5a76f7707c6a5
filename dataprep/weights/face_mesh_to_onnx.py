"""Writes MediaPipe's face mesh as ONNX; run when the weights are to be made again, never by the program itself.

    pip install tflite onnx numpy
    python dataprep/weights/face_mesh_to_onnx.py face_landmark.tflite dataprep/weights/face_mesh.onnx

Input `input` (N, 3, 192, 192) float32 RGB in [0, 1]. Outputs `points` (N, 1404), x, y and z of 468 points in pixels of that
picture, and `presence` (N, 1), a logit. Weights stay float16, as they are in the file; onnxruntime widens them once, when it
loads them. The arithmetic is float32.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import tflite
from onnx import TensorProto, helper, numpy_helper

OPERATORS = {code: name for name, code in vars(tflite.BuiltinOperator).items() if isinstance(code, int)}
OPTIONS = {
    "CONV_2D": tflite.Conv2DOptions,
    "DEPTHWISE_CONV_2D": tflite.DepthwiseConv2DOptions,
    "MAX_POOL_2D": tflite.Pool2DOptions,
    "ADD": tflite.AddOptions,
}
TO_NCHW = (0, 3, 1, 2)


class Graph:
    """The nodes of the ONNX file, made operator by operator."""

    def __init__(self, content: bytes) -> None:
        self.model = tflite.Model.GetRootAs(content, 0)
        self.graph = self.model.Subgraphs(0)
        self.nodes: list[Any] = []
        self.weights: list[Any] = [numpy_helper.from_array(np.ones((1, 1, 1), np.float32), "one")]
        self.of_half = {}  # float32 tensor -> the float16 one that it is widened from
        for operator in self.operators():
            if self.name(operator) == "DEQUANTIZE":
                self.of_half[operator.Outputs(0)] = operator.Inputs(0)
            else:
                self.add(operator)

    def operators(self) -> list[Any]:
        return [self.graph.Operators(i) for i in range(self.graph.OperatorsLength())]

    def name(self, operator: Any) -> str:
        code = self.model.OperatorCodes(operator.OpcodeIndex())
        return OPERATORS[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]

    def shape(self, tensor: int) -> list[int]:
        return [int(n) for n in self.graph.Tensors(tensor).ShapeAsNumpy()]

    def constant(self, tensor: int) -> np.ndarray:
        """The values of a tensor that the file holds."""
        half = self.of_half.get(tensor)
        stored = self.graph.Tensors(tensor if half is None else half)
        content = self.model.Buffers(stored.Buffer()).DataAsNumpy().tobytes()
        return np.frombuffer(content, np.int32 if half is None else np.float16).reshape(self.shape(tensor))

    def weight(self, tensor: int, array: np.ndarray) -> str:
        """A float16 constant of the ONNX file, widened: its name."""
        assert array.dtype == np.float16
        half, full = f"half{tensor}", f"w{tensor}"
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(array), half))
        self.nodes.append(helper.make_node("Cast", [half], [full], to=TensorProto.FLOAT))
        return full

    def add(self, operator: Any) -> None:
        """One operator; a PReLU becomes several nodes."""
        kind, given, made = self.name(operator), operator.InputsAsNumpy().tolist(), operator.Outputs(0)
        options = OPTIONS.get(kind)
        table = options() if options else None
        if table is not None:
            table.Init(operator.BuiltinOptions().Bytes, operator.BuiltinOptions().Pos)
            if table.FusedActivationFunction() != tflite.ActivationFunctionType.NONE:
                raise ValueError(f"{kind}: found a fused activation, expected none")
        if kind == "PRELU":
            return self.add_prelu(given, made)
        inputs, attributes = getattr(self, f"of_{kind.lower()}")(given, made, table)
        onnx_kind = {"CONV_2D": "Conv", "DEPTHWISE_CONV_2D": "Conv", "ADD": "Add", "PAD": "Pad"}
        onnx_kind["MAX_POOL_2D"] = "MaxPool"
        self.nodes.append(helper.make_node(onnx_kind[kind], inputs, [f"t{made}"], **attributes))

    def moved(self, given: int, made: int, table: Any, kernel: list[int]) -> dict[str, Any]:
        """Kernel, steps and padding; with SAME the odd pixel is added behind."""
        strides, pads = [table.StrideH(), table.StrideW()], [0, 0, 0, 0]
        if table.Padding() == tflite.Padding.SAME:
            for axis in (0, 1):
                n, left = self.shape(given)[1 + axis], self.shape(made)[1 + axis]
                padded = max(0, (left - 1) * strides[axis] + kernel[axis] - n)
                pads[axis], pads[2 + axis] = padded // 2, padded - padded // 2
        return {"kernel_shape": kernel, "strides": strides, "pads": pads}

    def of_conv_2d(self, given: list[int], made: int, table: Any) -> tuple[list[str], dict[str, Any]]:
        kernel = self.constant(given[1])
        bias = self.weight(given[2], self.constant(given[2]))
        names = [f"t{given[0]}", self.weight(given[1], kernel.transpose(TO_NCHW)), bias]
        return names, self.moved(given[0], made, table, list(kernel.shape[1:3]))

    def of_depthwise_conv_2d(self, given: list[int], made: int, table: Any) -> tuple[list[str], dict[str, Any]]:
        kernel = self.constant(given[1])
        bias = self.weight(given[2], self.constant(given[2]))
        names = [f"t{given[0]}", self.weight(given[1], kernel.transpose(3, 0, 1, 2)), bias]
        return names, {**self.moved(given[0], made, table, list(kernel.shape[1:3])), "group": kernel.shape[3]}

    def of_max_pool_2d(self, given: list[int], made: int, table: Any) -> tuple[list[str], dict[str, Any]]:
        return [f"t{given[0]}"], self.moved(given[0], made, table, [table.FilterHeight(), table.FilterWidth()])

    def add_prelu(self, given: list[int], made: int) -> None:
        """s·x + (1 - s)·max(x, 0), which is PReLU: onnxruntime takes two thirds of the network's time for its own PRelu."""
        x, y = f"t{given[0]}", f"t{made}"
        slope = self.weight(given[1], self.constant(given[1]).reshape(-1, 1, 1))
        steps = [
            ("Sub", ["one", slope], f"rest{made}"),  # of constants: made once, when the file is loaded
            ("Relu", [x], f"positive{made}"),
            ("Mul", [x, slope], f"sloped{made}"),
            ("Mul", [f"positive{made}", f"rest{made}"], f"raised{made}"),
            ("Add", [f"raised{made}", f"sloped{made}"], y),
        ]
        self.nodes += [helper.make_node(kind, inputs, [output]) for kind, inputs, output in steps]

    def of_add(self, given: list[int], made: int, table: Any) -> tuple[list[str], dict[str, Any]]:
        return [f"t{tensor}" for tensor in given], {}

    def of_pad(self, given: list[int], made: int, table: Any) -> tuple[list[str], dict[str, Any]]:
        pads = self.constant(given[1])[list(TO_NCHW)]
        self.weights.append(numpy_helper.from_array(pads.T.reshape(-1).astype(np.int64), f"pads{made}"))
        return [f"t{given[0]}", f"pads{made}"], {}

    def written(self) -> Any:
        """The ONNX model, checked."""
        for name, tensor in zip(("points", "presence"), self.graph.OutputsAsNumpy().tolist(), strict=True):
            self.nodes.append(helper.make_node("Flatten", [f"t{tensor}"], [name]))
        entry = helper.make_node("Identity", ["input"], [f"t{self.graph.Inputs(0)}"])
        values = {"input": [3, 192, 192], "points": [1404], "presence": [1]}
        made = {n: helper.make_tensor_value_info(n, TensorProto.FLOAT, ["N", *shape]) for n, shape in values.items()}
        graph = helper.make_graph(
            [entry, *self.nodes], "face_mesh", [made["input"]], [made["points"], made["presence"]], self.weights
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], producer_name="face_mesh_to_onnx")
        model.ir_version = 8
        onnx.checker.check_model(model, full_check=True)
        return model


if __name__ == "__main__":
    source, target = (Path(argument) for argument in sys.argv[1:])
    target.write_bytes(Graph(source.read_bytes()).written().SerializeToString(deterministic=True))
